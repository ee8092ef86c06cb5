"""Brazilian Portuguese: two genders, adjectives after the noun, `de` and `em` contracted with o/a."""

from typing import Final

from polyglance.scenes import meaning as m
from polyglance.scenes.grammar.base import GenderFinder, Grammar

LEXICON: Final[dict[str, tuple[str, str, str]]] = {
    "animal": ("m", "animal", "animais"), "fruit": ("f", "fruta", "frutas"), "plant": ("f", "planta", "plantas"),
    "vehicle": ("m", "veículo", "veículos"), "garment": ("f", "peça de roupa", "peças de roupa"),
    "instrument": ("m", "instrumento musical", "instrumentos musicais"),
    "tool": ("f", "ferramenta", "ferramentas"), "shape": ("f", "forma", "formas"),
    "dog": ("m", "cachorro", "cachorros"), "cat": ("m", "gato", "gatos"), "horse": ("m", "cavalo", "cavalos"),
    "cow": ("f", "vaca", "vacas"), "pig": ("m", "porco", "porcos"), "rabbit": ("m", "coelho", "coelhos"),
    "elephant": ("m", "elefante", "elefantes"), "lion": ("m", "leão", "leões"), "giraffe": ("f", "girafa", "girafas"),
    "turtle": ("f", "tartaruga", "tartarugas"), "frog": ("m", "sapo", "sapos"),
    "penguin": ("m", "pinguim", "pinguins"), "fish": ("m", "peixe", "peixes"), "snail": ("m", "caracol", "caracóis"),
    "apple": ("f", "maçã", "maçãs"), "banana": ("f", "banana", "bananas"), "lemon": ("m", "limão", "limões"),
    "pineapple": ("m", "abacaxi", "abacaxis"), "pear": ("f", "pera", "peras"), "peach": ("m", "pêssego", "pêssegos"),
    "mango": ("f", "manga-rosa", "mangas-rosas"), "kiwi": ("m", "kiwi", "kiwis"), "coconut": ("m", "coco", "cocos"),
    "palm tree": ("f", "palmeira", "palmeiras"), "fir tree": ("m", "pinheiro", "pinheiros"),
    "cactus": ("m", "cacto", "cactos"), "rose": ("f", "rosa", "rosas"), "tulip": ("f", "tulipa", "tulipas"),
    "sunflower": ("m", "girassol", "girassóis"), "clover": ("m", "trevo", "trevos"),
    "seedling": ("m", "broto", "brotos"),
    "car": ("m", "carro", "carros"), "bus": ("m", "ônibus", "ônibus"), "truck": ("m", "caminhão", "caminhões"),
    "tractor": ("m", "trator", "tratores"), "bicycle": ("f", "bicicleta", "bicicletas"),
    "motorcycle": ("f", "moto", "motos"), "airplane": ("m", "avião", "aviões"),
    "helicopter": ("m", "helicóptero", "helicópteros"), "rocket": ("m", "foguete", "foguetes"),
    "sailboat": ("m", "veleiro", "veleiros"), "locomotive": ("f", "locomotiva", "locomotivas"),
    "canoe": ("f", "canoa", "canoas"),
    "dress": ("m", "vestido", "vestidos"), "t-shirt": ("f", "camiseta", "camisetas"),
    "coat": ("m", "casaco", "casacos"), "top hat": ("f", "cartola", "cartolas"),
    "scarf": ("m", "cachecol", "cachecóis"), "tie": ("f", "gravata", "gravatas"), "boot": ("f", "bota", "botas"),
    "cap": ("m", "boné", "bonés"),
    "guitar": ("f", "guitarra", "guitarras"), "trumpet": ("m", "trompete", "trompetes"),
    "violin": ("m", "violino", "violinos"), "drum": ("m", "tambor", "tambores"),
    "saxophone": ("m", "saxofone", "saxofones"), "banjo": ("m", "banjo", "banjos"),
    "hammer": ("m", "martelo", "martelos"), "axe": ("m", "machado", "machados"),
    "wrench": ("f", "chave de boca", "chaves de boca"), "broom": ("f", "vassoura", "vassouras"),
    "pencil": ("m", "lápis", "lápis"), "paintbrush": ("m", "pincel", "pincéis"),
    "flashlight": ("f", "lanterna", "lanternas"), "magnifying glass": ("f", "lupa", "lupas"),
    "circle": ("m", "círculo", "círculos"), "square": ("m", "quadrado", "quadrados"),
    "triangle": ("m", "triângulo", "triângulos"), "star": ("f", "estrela", "estrelas"),
    "heart": ("m", "coração", "corações"), "diamond": ("m", "losango", "losangos"), "cross": ("f", "cruz", "cruzes"),
    "crescent": ("f", "meia-lua", "meias-luas"),
}  # fmt: skip
"""Kind or category -> gender, singular and plural."""

ADJECTIVES: Final = {
    "red": {"m": "vermelho", "f": "vermelha"}, "orange": {"m": "laranja", "f": "laranja"},
    "yellow": {"m": "amarelo", "f": "amarela"}, "green": {"m": "verde", "f": "verde"},
    "blue": {"m": "azul", "f": "azul"}, "purple": {"m": "roxo", "f": "roxa"},
    "white": {"m": "branco", "f": "branca"}, "black": {"m": "preto", "f": "preta"},
    "small": {"m": "pequeno", "f": "pequena"}, "large": {"m": "grande", "f": "grande"},
}  # fmt: skip
A: Final = {"m": "um", "f": "uma"}
NO: Final = {"m": "nenhum", "f": "nenhuma"}
THE: Final = {"m": "o", "f": "a"}
HOW_MANY: Final = {"m": "Quantos", "f": "Quantas"}
TWO: Final = {"m": "dois", "f": "duas"}
NUMERALS: Final = {3: "três", 4: "quatro", 5: "cinco", 6: "seis"}
RELATIONS: Final = {"left": "à esquerda", "right": "à direita", "above": "acima", "below": "abaixo"}
BACKGROUND_PLACES: Final = {"meadow": "em um campo", "sea": "no mar", "night": "à noite", "desert": "no deserto"}
BACKGROUNDS: Final = {"meadow": "um campo", "sea": "o mar", "night": "o céu noturno", "desert": "um deserto"}


def gender(name: str) -> str:
    return LEXICON[name][0]


def plural(name: str) -> str:
    return LEXICON[name][2]


def bare(phrase: m.Phrase) -> str:
    """Noun and adjectives, without article and plate: `estrela vermelha pequena`."""
    noun_gender, noun, _ = LEXICON[phrase.noun]
    return " ".join([noun, *(ADJECTIVES[name][noun_gender] for name in (phrase.colour, phrase.size) if name)])


def a(phrase: m.Phrase, articles: dict[str, str] = A) -> str:
    plate = f" em um prato {ADJECTIVES[phrase.plate]['m']}" if phrase.plate else ""
    return f"{articles[gender(phrase.noun)]} {bare(phrase)}{plate}"


def no(phrase: m.Phrase) -> str:
    return a(phrase, NO)


def the(phrase: m.Phrase) -> str:
    plate = f" {on_plate(phrase.plate)}" if phrase.plate else ""
    return f"{THE[gender(phrase.noun)]} {bare(phrase)}{plate}"


def of_the(phrase: m.Phrase) -> str:
    return "d" + the(phrase)


def on_plate(colour: str) -> str:
    return f"no prato {ADJECTIVES[colour]['m']}"


def agreeing(name: str, phrase: m.Phrase) -> str:
    """The predicate: `(a estrela é) vermelha`."""
    return ADJECTIVES[name][gender(phrase.noun)]


def question(words: str) -> str:
    return words[0].upper() + words[1:] + "?"


ANSWERS: Final = {
    **{name: singular for name, (_, singular, _) in LEXICON.items()},
    **{name: forms["m"] for name, forms in ADJECTIVES.items()}, **RELATIONS,
    "yes": "sim", "no": "não",
    "meadow": "campo", "sea": "mar", "night": "céu noturno", "desert": "deserto",
}  # fmt: skip


GENDERS: Final = GenderFinder({**{noun: gender for gender, noun, _ in LEXICON.values()}, "prato": "m"})


class Portuguese(Grammar):
    code = "pt"
    answers = ANSWERS

    def answer(self, answer: str, question: str = "") -> str:
        if answer in ADJECTIVES:
            return ADJECTIVES[answer][GENDERS.find(question) or "m"]
        return super().answer(answer)

    def shows(self, f: m.Shows) -> str:
        return a(f.thing)

    def shows_count(self, f: m.ShowsCount) -> str:
        return f"{NUMERALS.get(f.count, TWO[gender(f.noun)])} {plural(f.noun)}"

    def shows_related(self, f: m.ShowsRelated) -> str:
        return f"{a(f.thing)} {RELATIONS[f.relation]} de {a(f.other)}"

    def shows_between(self, f: m.ShowsBetween) -> str:
        return f"{a(f.thing)} entre {a(f.first)} e {a(f.second)}"

    def shows_background(self, f: m.ShowsBackground) -> str:
        return BACKGROUND_PLACES[f.background]

    def is_there(self, q: m.IsThere) -> str:
        return f"Há {a(q.thing)} na imagem?"

    def is_there_category(self, q: m.IsThereCategory) -> str:
        return f"Há {a(q.thing)} na imagem?"

    def is_colour(self, q: m.IsColour) -> str:
        return question(f"{the(q.thing)} é {agreeing(q.colour, q.thing)}")

    def is_plate_colour(self, q: m.IsPlateColour) -> str:
        return f"O prato embaixo {of_the(q.thing)} é {ADJECTIVES[q.colour]['m']}?"

    def is_size(self, q: m.IsSize) -> str:
        return question(f"{the(q.thing)} é {agreeing(q.size, q.thing)}")

    def is_related(self, q: m.IsRelated) -> str:
        return question(f"{the(q.thing)} está {RELATIONS[q.relation]} {of_the(q.other)}")

    def is_between(self, q: m.IsBetween) -> str:
        return question(f"{the(q.thing)} está entre {the(q.first)} e {the(q.second)}")

    def is_background(self, q: m.IsBackground) -> str:
        return f"A imagem mostra {BACKGROUNDS[q.background]}?"

    def what_colour(self, q: m.WhatColour) -> str:
        return f"Qual é a cor {of_the(q.thing)}?"

    def what_plate_colour(self, q: m.WhatPlateColour) -> str:
        return f"Qual é a cor do prato embaixo {of_the(q.thing)}?"

    def what_is_related(self, q: m.WhatIsRelated) -> str:
        return f"O que está {RELATIONS[q.relation]} {of_the(q.other)}?"

    def what_is_on_plate(self, q: m.WhatIsOnPlate) -> str:
        return f"O que está {on_plate(q.plate)}?"

    def which_of_category(self, q: m.WhichOfCategory) -> str:
        return f"Qual {bare(m.Phrase(q.category))} aparece na imagem?"

    def what_category_on_plate(self, q: m.WhatCategoryOnPlate) -> str:
        return f"Que tipo de coisa está {on_plate(q.plate)}?"

    def what_background(self, q: m.WhatBackground) -> str:
        return "O que aparece no fundo da imagem?"

    def choose_colour(self, q: m.ChooseColour) -> str:
        return question(f"{the(q.thing)} é {agreeing(q.first, q.thing)} ou {agreeing(q.second, q.thing)}")

    def choose_plate_colour(self, q: m.ChoosePlateColour) -> str:
        return f"O prato embaixo {of_the(q.thing)} é {ADJECTIVES[q.first]['m']} ou {ADJECTIVES[q.second]['m']}?"

    def choose_size(self, q: m.ChooseSize) -> str:
        return question(f"{the(q.thing)} é {agreeing('small', q.thing)} ou {agreeing('large', q.thing)}")

    def choose_relation(self, q: m.ChooseRelation) -> str:
        either = "acima ou abaixo" if q.vertical else "à esquerda ou à direita"
        return question(f"{the(q.thing)} está {either} {of_the(q.other)}")

    def choose_kind(self, q: m.ChooseKind) -> str:
        return f"O que aparece na imagem: {a(m.Phrase(q.first))} ou {a(m.Phrase(q.second))}?"

    def choose_category_on_plate(self, q: m.ChooseCategoryOnPlate) -> str:
        return f"O que está {on_plate(q.plate)} é {a(m.Phrase(q.first))} ou {a(m.Phrase(q.second))}?"

    def choose_background(self, q: m.ChooseBackground) -> str:
        return f"A imagem mostra {BACKGROUNDS[q.first]} ou {BACKGROUNDS[q.second]}?"

    def are_both(self, q: m.AreBoth) -> str:
        return f"Há tanto {a(q.first)} quanto {a(q.second)} na imagem?"

    def is_either(self, q: m.IsEither) -> str:
        return f"Há {a(q.first)} ou {a(q.second)} na imagem?"

    def is_without(self, q: m.IsWithout) -> str:
        return f"Há {a(q.first)} na imagem, mas {no(q.second)}?"

    def are_both_size(self, q: m.AreBothSize) -> str:
        masculine = "m" in (gender(q.first.noun), gender(q.second.noun))
        size = ADJECTIVES[q.size]["m" if masculine else "f"] + "s"
        return f"Tanto {the(q.first)} quanto {the(q.second)} são {size}?"

    def are_same_colour(self, q: m.AreSameColour) -> str:
        return question(f"{the(q.first)} e {the(q.second)} têm a mesma cor")

    def are_plates_same_colour(self, q: m.ArePlatesSameColour) -> str:
        return f"Os pratos embaixo {of_the(q.first)} e {of_the(q.second)} têm a mesma cor?"

    def are_same_size(self, q: m.AreSameSize) -> str:
        return question(f"{the(q.first)} e {the(q.second)} têm o mesmo tamanho")

    def which_is_larger(self, q: m.WhichIsLarger) -> str:
        return f"Qual é maior: {the(q.first)} ou {the(q.second)}?"

    def are_there_more(self, q: m.AreThereMore) -> str:
        return f"Há mais {plural(q.first)} do que {plural(q.second)} na imagem?"

    def how_many(self, q: m.HowMany) -> str:
        return f"{HOW_MANY[gender(q.noun)]} {plural(q.noun)} há na imagem?"


GRAMMAR = Portuguese()
