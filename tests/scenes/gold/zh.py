"""Mandarin sentences, written by hand."""

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
        "在夜空下，一个在蓝色盘子上的红色小五角星位于一只狗的左边，两个苹果。",
    ),
    ((m.Shows(Phrase("rabbit", "large")), m.ShowsBackground("meadow")), "在草地上，一只大兔子。"),
    ((m.ShowsCount(2, "sailboat"), m.ShowsBackground("sea")), "在海上，两艘帆船。"),
    ((m.ShowsBackground("desert"), m.Shows(Phrase("cactus", plate="white"))), "在沙漠里，一棵在白色盘子上的仙人掌。"),
    # modifiers
    (m.Shows(Phrase("animal", plate="orange")), "一只在橙色盘子上的动物"),
    (m.Shows(Phrase("diamond", "large", "orange")), "一个橙色大菱形"),
    (m.Shows(Phrase("heart", colour="purple", plate="green")), "一颗在绿色盘子上的紫色爱心"),
    (m.Shows(Phrase("crescent", "small", "yellow", "black")), "一个在黑色盘子上的黄色小月牙形"),
    (m.Shows(Phrase("elephant", "small")), "一头小的大象"),
    (m.Shows(Phrase("violin", "large")), "一把大的小提琴"),
    (m.Shows(Phrase("car", "small", plate="red")), "一辆在红色盘子上的小的汽车"),
    # measure words
    (m.ShowsCount(3, "animal"), "三只动物"),
    (m.ShowsCount(4, "horse"), "四匹马"),
    (m.ShowsCount(2, "cow"), "两头奶牛"),
    (m.ShowsCount(5, "fish"), "五条鱼"),
    (m.ShowsCount(6, "banana"), "六根香蕉"),
    (m.ShowsCount(3, "plant"), "三株植物"),
    (m.ShowsCount(2, "palm tree"), "两棵棕榈树"),
    (m.ShowsCount(4, "rose"), "四朵玫瑰"),
    (m.ShowsCount(2, "vehicle"), "两个交通工具"),
    (m.ShowsCount(3, "bus"), "三辆公交车"),
    (m.ShowsCount(2, "airplane"), "两架飞机"),
    (m.ShowsCount(5, "rocket"), "五枚火箭"),
    (m.ShowsCount(2, "garment"), "两件衣物"),
    (m.ShowsCount(3, "t-shirt"), "三件T恤"),
    (m.ShowsCount(4, "cap"), "四顶棒球帽"),
    (m.ShowsCount(2, "boot"), "两只靴子"),
    (m.ShowsCount(2, "drum"), "两面鼓"),
    (m.ShowsCount(3, "pencil"), "三支铅笔"),
    (m.ShowsCount(6, "axe"), "六把斧头"),
    # places in captions
    (m.ShowsRelated(Phrase("dog"), "right", Phrase("cat", "small")), "一只狗位于一只小猫的右边"),
    (
        m.ShowsRelated(Phrase("canoe", plate="blue"), "above", Phrase("scarf", plate="red")),
        "一条在蓝色盘子上的独木舟位于一条在红色盘子上的围巾的上方",
    ),
    (m.ShowsRelated(Phrase("trumpet"), "below", Phrase("star", colour="red")), "一支小号位于一个红色五角星的下方"),
    (
        m.ShowsBetween(Phrase("dog"), Phrase("cat"), Phrase("star", colour="red")),
        "一只狗位于一只猫和一个红色五角星之间",
    ),
    # yes or no
    (m.IsThere(Phrase("dog", "small")), "图中有小狗吗？"),
    (m.IsThere(Phrase("guitar", plate="yellow")), "图中有一把在黄色盘子上的吉他吗？"),
    (m.IsThereCategory(Phrase("instrument")), "图中有乐器吗？"),
    (m.IsColour(Phrase("star"), "red"), "那个五角星是红色的吗？"),
    (m.IsPlateColour(Phrase("dog"), "black"), "那只狗下面的盘子是黑色的吗？"),
    (m.IsSize(Phrase("penguin"), "small"), "那只企鹅是小的吗？"),
    (m.IsRelated(Phrase("dog"), "left", Phrase("cat")), "那只狗在那只猫的左边吗？"),
    (
        m.IsBetween(Phrase("dog"), Phrase("cat"), Phrase("star", colour="red")),
        "那只狗在那只猫和那个红色五角星之间吗？",
    ),
    (m.IsBackground("meadow"), "图中的背景是草地吗？"),
    # open questions
    (m.WhatColour(Phrase("triangle", "large")), "那个大三角形是什么颜色的？"),
    (m.WhatPlateColour(Phrase("top hat")), "那顶礼帽下面的盘子是什么颜色的？"),
    (m.WhatIsRelated("above", Phrase("dog")), "那只狗的上方是什么？"),
    (m.WhatIsOnPlate("purple"), "紫色盘子上有什么？"),
    (m.WhichOfCategory("animal"), "图中有哪种动物？"),
    (m.WhatCategoryOnPlate("red"), "红色盘子上的东西属于哪一类？"),
    (m.WhatBackground(), "图中的背景是什么？"),
    (m.HowMany("dog"), "图中有几只狗？"),
    (m.HowMany("dress"), "图中有几条连衣裙？"),
    # one or the other
    (m.ChooseColour(Phrase("star"), "white", "blue"), "那个五角星是白色的还是蓝色的？"),
    (m.ChoosePlateColour(Phrase("dog"), "green", "yellow"), "那只狗下面的盘子是绿色的还是黄色的？"),
    (m.ChooseSize(Phrase("lion")), "那头狮子是大的还是小的？"),
    (m.ChooseRelation(Phrase("dog"), Phrase("cat"), vertical=False), "那只狗在那只猫的左边还是右边？"),
    (m.ChooseRelation(Phrase("dog"), Phrase("cat"), vertical=True), "那只狗在那只猫的上方还是下方？"),
    (m.ChooseKind("dog", "cat"), "图中出现的是狗还是猫？"),
    (m.ChooseCategoryOnPlate("red", "animal", "fruit"), "红色盘子上的东西是动物还是水果？"),
    (m.ChooseBackground("sea", "night"), "图中的背景是大海还是夜空？"),
    # two things
    (m.AreBoth(Phrase("dog"), Phrase("cat", plate="red")), "图中既有狗又有一只在红色盘子上的猫吗？"),
    (m.IsEither(Phrase("dog"), Phrase("cat")), "图中有一只狗或者一只猫吗？"),
    (
        m.IsEither(Phrase("dog", plate="red"), Phrase("star", colour="blue")),
        "图中有一只在红色盘子上的狗或者一个蓝色五角星吗？",
    ),
    (m.IsWithout(Phrase("dog"), Phrase("cat")), "图中是否有狗但没有猫？"),
    (m.IsWithout(Phrase("dog", plate="red"), Phrase("cat")), "图中是否有一只在红色盘子上的狗但没有猫？"),
    (m.IsWithout(Phrase("dog"), Phrase("cat", plate="red")), "图中是否有狗但没有任何在红色盘子上的猫？"),
    (m.AreBothSize(Phrase("dog"), Phrase("cat"), "large"), "那只狗和那只猫都是大的吗？"),
    (m.AreSameColour(Phrase("star"), Phrase("circle")), "那个五角星和那个圆形颜色相同吗？"),
    (m.ArePlatesSameColour(Phrase("dog"), Phrase("cat")), "那只狗下面的盘子和那只猫下面的盘子颜色相同吗？"),
    (m.AreSameSize(Phrase("dog"), Phrase("cat")), "那只狗和那只猫一样大吗？"),
    (m.WhichIsLarger(Phrase("dog"), Phrase("cat")), "那只狗和那只猫哪个更大？"),
    (m.AreThereMore("animal", "fruit"), "图中的动物比水果多吗？"),
    # words with a second meaning, and modifiers with a second reading
    (m.Shows(Phrase("heart", size="small")), "一颗小爱心"),
    (m.IsSize(Phrase("heart"), "small"), "那颗爱心是小的吗？"),
    (m.Shows(Phrase("dress", size="large")), "一条大的连衣裙"),
    (m.IsThere(Phrase("dress", size="large")), "图中有大的连衣裙吗？"),
]
