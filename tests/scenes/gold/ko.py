"""Korean sentences, written by hand."""

from polyglance.scenes import meaning as m
from polyglance.scenes.meaning import Phrase

GOLD: list[tuple[m.Caption | m.Fragment | m.Question, str]] = [
    # captions
    (
        (
            m.ShowsRelated(Phrase("star", "small", "red", "blue"), "left", Phrase("dog")),
            m.ShowsCount(2, "apple"),
            m.ShowsBackground("night"),
        ),
        "밤에, 파란 접시 위의 작은 빨간 별이 개 왼쪽에 있는 모습, 사과 두 개.",
    ),
    ((m.Shows(Phrase("elephant", "large")), m.ShowsBackground("meadow")), "풀밭에서, 큰 코끼리."),
    ((m.ShowsCount(2, "sailboat"), m.ShowsBackground("sea")), "바다에서, 돛단배 두 척."),
    ((m.ShowsBackground("desert"), m.Shows(Phrase("cactus", plate="white"))), "사막에서, 하얀 접시 위의 선인장."),
    # modifiers
    (m.Shows(Phrase("animal", plate="orange")), "주황색 접시 위의 동물"),
    (m.Shows(Phrase("diamond", "large", "orange")), "큰 주황색 마름모"),
    (m.Shows(Phrase("heart", "small", "purple", "green")), "초록색 접시 위의 작은 보라색 하트"),
    (m.Shows(Phrase("crescent", colour="yellow", plate="black")), "검은 접시 위의 노란 초승달"),
    (m.Shows(Phrase("cross", "small", "white")), "작은 하얀 십자 모양"),
    # counters
    (m.ShowsCount(3, "animal"), "동물 세 마리"),
    (m.ShowsCount(4, "dog"), "개 네 마리"),
    (m.ShowsCount(2, "plant"), "식물 두 개"),
    (m.ShowsCount(5, "fir tree"), "전나무 다섯 그루"),
    (m.ShowsCount(6, "rose"), "장미 여섯 송이"),
    (m.ShowsCount(2, "car"), "자동차 두 대"),
    (m.ShowsCount(3, "vehicle"), "탈것 세 대"),
    (m.ShowsCount(4, "canoe"), "카누 네 척"),
    (m.ShowsCount(2, "garment"), "의류 두 점"),
    (m.ShowsCount(3, "coat"), "코트 세 벌"),
    (m.ShowsCount(4, "t-shirt"), "티셔츠 네 장"),
    (m.ShowsCount(2, "boot"), "부츠 두 짝"),
    (m.ShowsCount(5, "cap"), "야구 모자 다섯 개"),
    (m.ShowsCount(2, "guitar"), "기타 두 대"),
    (m.ShowsCount(3, "pencil"), "연필 세 자루"),
    (m.ShowsCount(6, "circle"), "원 여섯 개"),
    # places in captions
    (m.ShowsRelated(Phrase("dog"), "right", Phrase("cat", "small")), "개가 작은 고양이 오른쪽에 있는 모습"),
    (
        m.ShowsRelated(Phrase("horse"), "above", Phrase("cat", plate="red")),
        "말이 빨간 접시 위의 고양이 위쪽에 있는 모습",
    ),
    (
        m.ShowsRelated(Phrase("horse", plate="red"), "below", Phrase("cat")),
        "빨간 접시 위의 말이 고양이 아래쪽에 있는 모습",
    ),
    (
        m.ShowsBetween(Phrase("dog"), Phrase("cat"), Phrase("star", colour="red")),
        "개가 고양이 한 마리와 빨간 별 한 개 사이에 있는 모습",
    ),
    (
        m.ShowsBetween(Phrase("lemon"), Phrase("dress", plate="blue"), Phrase("tulip")),
        "레몬이 파란 접시 위의 원피스 한 벌과 튤립 한 송이 사이에 있는 모습",
    ),
    # yes or no
    (m.IsThere(Phrase("dog", "small")), "그림에 작은 개가 있습니까?"),
    (m.IsThere(Phrase("violin", plate="yellow")), "그림에 노란 접시 위의 바이올린이 있습니까?"),
    (m.IsThereCategory(Phrase("instrument")), "그림에 악기가 있습니까?"),
    (m.IsColour(Phrase("star"), "red"), "그림에서 별은 빨간색입니까?"),
    (m.IsColour(Phrase("heart", "large"), "orange"), "그림에서 큰 하트는 주황색입니까?"),
    (m.IsPlateColour(Phrase("dog"), "black"), "그림에서 개 아래의 접시는 검은색입니까?"),
    (m.IsSize(Phrase("penguin"), "small"), "그림에서 펭귄은 작습니까?"),
    (m.IsSize(Phrase("banana"), "large"), "그림에서 바나나는 큽니까?"),
    (m.IsRelated(Phrase("dog"), "left", Phrase("cat")), "그림에서 개는 고양이 왼쪽에 있습니까?"),
    (
        m.IsBetween(Phrase("dog"), Phrase("cat"), Phrase("star", colour="red")),
        "그림에서 개는 고양이와 빨간 별 사이에 있습니까?",
    ),
    (m.IsBetween(Phrase("bus"), Phrase("truck"), Phrase("broom")), "그림에서 버스는 트럭과 빗자루 사이에 있습니까?"),
    (m.IsBackground("meadow"), "그림의 배경은 풀밭입니까?"),
    # open questions
    (m.WhatColour(Phrase("triangle")), "그림에서 삼각형은 무슨 색입니까?"),
    (m.WhatPlateColour(Phrase("hammer")), "그림에서 망치 아래의 접시는 무슨 색입니까?"),
    (m.WhatIsRelated("right", Phrase("dog")), "그림에서 개 오른쪽에 무엇이 있습니까?"),
    (m.WhatIsOnPlate("purple"), "보라색 접시 위에 무엇이 있습니까?"),
    (m.WhichOfCategory("animal"), "그림에 어떤 동물이 있습니까?"),
    (m.WhichOfCategory("tool"), "그림에 어떤 도구가 있습니까?"),
    (m.WhatCategoryOnPlate("red"), "빨간 접시 위에 있는 것은 어떤 종류입니까?"),
    (m.WhatBackground(), "그림의 배경은 무엇입니까?"),
    (m.HowMany("dog"), "그림에 개가 몇 마리 있습니까?"),
    (m.HowMany("palm tree"), "그림에 야자수가 몇 그루 있습니까?"),
    (m.HowMany("shape"), "그림에 도형이 몇 개 있습니까?"),
    # one or the other
    (m.ChooseColour(Phrase("star"), "white", "blue"), "그림에서 별은 하얀색입니까, 파란색입니까?"),
    (m.ChoosePlateColour(Phrase("dog"), "green", "yellow"), "그림에서 개 아래의 접시는 초록색입니까, 노란색입니까?"),
    (m.ChooseSize(Phrase("lion")), "그림에서 사자는 작습니까, 큽니까?"),
    (
        m.ChooseRelation(Phrase("dog"), Phrase("cat"), vertical=False),
        "그림에서 개는 고양이 왼쪽에 있습니까, 오른쪽에 있습니까?",
    ),
    (
        m.ChooseRelation(Phrase("circle"), Phrase("cat"), vertical=True),
        "그림에서 원은 고양이 위쪽에 있습니까, 아래쪽에 있습니까?",
    ),
    (m.ChooseKind("dog", "cat"), "그림에 있는 것은 개입니까, 고양이입니까?"),
    (m.ChooseCategoryOnPlate("red", "animal", "fruit"), "빨간 접시 위에 있는 것은 동물입니까, 과일입니까?"),
    (m.ChooseBackground("sea", "night"), "그림의 배경은 바다입니까, 밤하늘입니까?"),
    # two things
    (m.AreBoth(Phrase("dog"), Phrase("cat", plate="red")), "그림에 개도 있고 빨간 접시 위의 고양이도 있습니까?"),
    (m.IsEither(Phrase("dog"), Phrase("cat")), "그림에 개나 고양이가 있습니까?"),
    (m.IsEither(Phrase("horse"), Phrase("lemon")), "그림에 말이나 레몬이 있습니까?"),
    (
        m.IsEither(Phrase("dog", plate="red"), Phrase("cat")),
        "그림에 빨간 접시 위의 개가 있거나 고양이가 있습니까?",
    ),
    (m.IsWithout(Phrase("dog"), Phrase("horse")), "그림에 개는 있지만 말은 없습니까?"),
    (m.AreBothSize(Phrase("dog"), Phrase("cat"), "small"), "그림에서 개도 고양이도 둘 다 작습니까?"),
    (m.AreSameColour(Phrase("star"), Phrase("circle")), "그림에서 별은 원과 색이 같습니까?"),
    (
        m.ArePlatesSameColour(Phrase("dog"), Phrase("cat")),
        "그림에서 개 아래의 접시는 고양이 아래의 접시와 색이 같습니까?",
    ),
    (m.AreSameSize(Phrase("dog"), Phrase("cat")), "그림에서 개는 고양이와 크기가 같습니까?"),
    (m.WhichIsLarger(Phrase("dog"), Phrase("cat")), "그림에서 개가 더 큽니까, 고양이가 더 큽니까?"),
    (m.WhichIsLarger(Phrase("drum"), Phrase("axe")), "그림에서 드럼이 더 큽니까, 도끼가 더 큽니까?"),
    (m.AreThereMore("animal", "fruit"), "그림에 동물이 과일보다 더 많이 있습니까?"),
    (m.AreThereMore("garment", "plant"), "그림에 의류가 식물보다 더 많이 있습니까?"),
    # words with a second meaning, and modifiers with a second reading
    (m.ShowsCount(2, "cross"), "십자 모양 두 개"),
    (
        m.WhichIsLarger(Phrase("dog", plate="blue"), Phrase("cat")),
        "그림에서 파란 접시 위의 개가 더 큽니까, 고양이가 더 큽니까?",
    ),
    (
        m.IsBetween(Phrase("dog"), Phrase("cat", plate="red"), Phrase("star")),
        "그림에서 개는 빨간 접시 위의 고양이 한 마리와 별 한 개 사이에 있습니까?",
    ),
]
