import random

import torch

from experiments.pretraining.text_stage import MeaningHead, facts, known_facts, sample_meaning
from polyglance.nn.states import TokenStates
from polyglance.scenes import meaning as m
from polyglance.scenes.sampling import sample_scene


def test_facts_name_the_template_and_who_is_who() -> None:
    dog, star = m.Phrase("dog", plate="red"), m.Phrase("star", "small", "blue")
    assert facts((m.ShowsRelated(dog, "left", star),)) == {
        "ShowsRelated", "thing.noun=dog", "thing.plate=red", "relation=left", "other.noun=star", "other.size=small",
        "other.colour=blue",
    }  # fmt: skip
    assert facts(m.HowMany("dog")) == {"HowMany", "noun=dog"}
    assert facts((m.ShowsRelated(dog, "left", star),)) != facts((m.ShowsRelated(star, "left", dog),))


def test_known_facts_cover_nearly_all_that_is_said() -> None:
    known = set(known_facts([sample_scene(seed) for seed in range(3000)], 0))
    rng = random.Random(1)
    said = [fact for seed in range(300) for fact in facts(sample_meaning(sample_scene(seed), rng))]
    assert sum(fact in known for fact in said) / len(said) > 0.98


def test_the_head_reads_what_the_states_hold() -> None:
    torch.manual_seed(0)
    meanings: list[m.Caption | m.Question] = [m.HowMany("dog"), m.HowMany("cat")]
    head = MeaningHead(2, ["HowMany", "noun=cat", "noun=dog"], 2)
    states = TokenStates(torch.eye(2)[:, None], torch.ones(2, 1, dtype=torch.bool), "text")
    targets, emoji = head.targets(meanings), torch.tensor([0, 1])
    assert targets.tolist() == [[1, 0, 1], [1, 1, 0]]
    optimizer = torch.optim.Adam(head.parameters(), 0.3)
    for _ in range(100):
        optimizer.zero_grad()
        loss = head.fact_loss(states, targets) + head.emoji_loss(states, emoji)
        torch.autograd.backward(loss)
        optimizer.step()
    assert loss < 0.05
