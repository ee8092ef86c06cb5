"""Answer a question from a picture's token states; the picture itself is not needed."""

import torch

from polyglance.models.protocol import JointModel
from polyglance.nn.states import TokenStates
from polyglance.types import Answer


def answer_question(model: JointModel, question: str, picture: TokenStates, top: int = 5) -> list[Answer]:
    """The `top` most probable of the model's answers, best first. picture: one row."""
    text = model.read_text(model.tokenize([question]))
    probabilities = torch.softmax(model.answer(text, picture)[0].float(), dim=-1)
    best = probabilities.topk(min(top, len(model.answers)))
    return [
        Answer(model.answers[index], probability)
        for index, probability in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
