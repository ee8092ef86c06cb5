"""Bengali sentences, written by hand."""

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
        "রাতের বেলা, একটি কুকুরের বাঁ দিকে একটি নীল প্লেটের উপর থাকা ছোট লাল তারা, দুটি আপেল।",
    ),
    ((m.Shows(Phrase("elephant", "large")), m.ShowsBackground("meadow")), "ঘাসের মাঠে, একটি বড় হাতি।"),
    ((m.ShowsCount(2, "sailboat"), m.ShowsBackground("sea")), "সমুদ্রে, দুটি পালতোলা নৌকা।"),
    (
        (m.ShowsBackground("desert"), m.Shows(Phrase("cactus", plate="white"))),
        "মরুভূমিতে, একটি সাদা প্লেটের উপর থাকা ক্যাকটাস।",
    ),
    # modifiers
    (m.Shows(Phrase("animal", plate="orange")), "একটি কমলা রঙের প্লেটের উপর থাকা প্রাণী"),
    (m.Shows(Phrase("diamond", "large", "orange")), "একটি বড় কমলা রঙের রম্বস"),
    (m.Shows(Phrase("heart", colour="purple", plate="green")), "একটি সবুজ প্লেটের উপর থাকা বেগুনি হৃদয়"),
    (m.Shows(Phrase("crescent", "small", "yellow", "black")), "একটি কালো প্লেটের উপর থাকা ছোট হলুদ অর্ধচন্দ্র"),
    # counts
    (m.ShowsCount(3, "animal"), "তিনটি প্রাণী"),
    (m.ShowsCount(4, "horse"), "চারটি ঘোড়া"),
    (m.ShowsCount(5, "rose"), "পাঁচটি গোলাপ"),
    (m.ShowsCount(6, "vehicle"), "ছয়টি যানবাহন"),
    (m.ShowsCount(2, "t-shirt"), "দুটি টি-শার্ট"),
    # places in captions: genitives after consonants, vowel signs and vowel letters
    (m.ShowsRelated(Phrase("dog"), "left", Phrase("cat", "small")), "একটি ছোট বিড়ালের বাঁ দিকে একটি কুকুর"),
    (m.ShowsRelated(Phrase("dog"), "right", Phrase("cow")), "একটি গরুর ডান দিকে একটি কুকুর"),
    (m.ShowsRelated(Phrase("dog"), "above", Phrase("tie")), "একটি টাইয়ের উপরে একটি কুকুর"),
    (m.ShowsRelated(Phrase("dog"), "below", Phrase("horse")), "একটি ঘোড়ার নিচে একটি কুকুর"),
    (m.ShowsRelated(Phrase("boot"), "left", Phrase("car")), "একটি গাড়ির বাঁ দিকে একটি বুট"),
    (m.ShowsRelated(Phrase("boot"), "left", Phrase("sunflower")), "একটি সূর্যমুখীর বাঁ দিকে একটি বুট"),
    (m.ShowsRelated(Phrase("boot"), "left", Phrase("banjo")), "একটি ব্যাঞ্জোর বাঁ দিকে একটি বুট"),
    (m.ShowsRelated(Phrase("boot"), "left", Phrase("frog")), "একটি ব্যাঙের বাঁ দিকে একটি বুট"),
    (
        m.ShowsRelated(Phrase("boot"), "left", Phrase("heart", colour="red")),
        "একটি লাল হৃদয়ের বাঁ দিকে একটি বুট",
    ),
    (
        m.ShowsRelated(Phrase("dog", plate="blue"), "right", Phrase("cat", plate="red")),
        "একটি লাল প্লেটের উপর থাকা বিড়ালের ডান দিকে একটি নীল প্লেটের উপর থাকা কুকুর",
    ),
    (
        m.ShowsBetween(Phrase("dog"), Phrase("cat"), Phrase("star", colour="red")),
        "একটি বিড়াল এবং একটি লাল তারার মাঝখানে একটি কুকুর",
    ),
    # yes or no
    (m.IsThere(Phrase("dog", "small")), "ছবিতে কি কোনো ছোট কুকুর আছে?"),
    (m.IsThere(Phrase("guitar", plate="yellow")), "ছবিতে কি কোনো হলুদ প্লেটের উপর থাকা গিটার আছে?"),
    (m.IsThereCategory(Phrase("instrument")), "ছবিতে কি কোনো বাদ্যযন্ত্র আছে?"),
    (m.IsColour(Phrase("star"), "red"), "তারাটি কি লাল?"),
    (m.IsColour(Phrase("square", "large"), "orange"), "বড় বর্গক্ষেত্রটি কি কমলা রঙের?"),
    (m.IsPlateColour(Phrase("dog"), "black"), "যে প্লেটে কুকুরটি আছে, সেটি কি কালো?"),
    (m.IsSize(Phrase("penguin"), "small"), "পেঙ্গুইনটি কি ছোট?"),
    (m.IsRelated(Phrase("dog"), "left", Phrase("cat")), "কুকুরটি কি বিড়ালটির বাঁ দিকে আছে?"),
    (
        m.IsRelated(Phrase("lemon", plate="red"), "above", Phrase("circle", colour="blue")),
        "লাল প্লেটের উপর থাকা লেবুটি কি নীল বৃত্তটির উপরে আছে?",
    ),
    (
        m.IsBetween(Phrase("dog"), Phrase("cat"), Phrase("star", colour="red")),
        "কুকুরটি কি বিড়ালটি এবং লাল তারাটির মাঝখানে আছে?",
    ),
    (m.IsBackground("meadow"), "ছবির পটভূমিতে কি ঘাসের মাঠ আছে?"),
    # open questions
    (m.WhatColour(Phrase("triangle")), "ত্রিভুজটির রং কী?"),
    (m.WhatPlateColour(Phrase("hammer")), "যে প্লেটে হাতুড়িটি আছে, সেটির রং কী?"),
    (m.WhatIsRelated("right", Phrase("dog")), "কুকুরটির ডান দিকে কী আছে?"),
    (m.WhatIsOnPlate("purple"), "বেগুনি প্লেটের উপর কী আছে?"),
    (m.WhichOfCategory("animal"), "ছবিতে কোন প্রাণী আছে?"),
    (m.WhatCategoryOnPlate("red"), "লাল প্লেটের উপর কী ধরনের জিনিস আছে?"),
    (m.WhatBackground(), "ছবির পটভূমিতে কী আছে?"),
    (m.HowMany("dog"), "ছবিতে কয়টি কুকুর আছে?"),
    (m.HowMany("garment"), "ছবিতে কয়টি পোশাক আছে?"),
    # one or the other
    (m.ChooseColour(Phrase("star"), "white", "blue"), "তারাটি সাদা না নীল?"),
    (m.ChoosePlateColour(Phrase("dog"), "green", "orange"), "যে প্লেটে কুকুরটি আছে, সেটি সবুজ না কমলা রঙের?"),
    (m.ChooseSize(Phrase("lion")), "সিংহটি ছোট না বড়?"),
    (m.ChooseRelation(Phrase("dog"), Phrase("cat"), vertical=False), "কুকুরটি বিড়ালটির বাঁ দিকে না ডান দিকে?"),
    (m.ChooseRelation(Phrase("dog"), Phrase("cat"), vertical=True), "কুকুরটি বিড়ালটির উপরে না নিচে?"),
    (m.ChooseKind("dog", "cat"), "ছবিতে কোনটি আছে, কুকুর না বিড়াল?"),
    (m.ChooseCategoryOnPlate("red", "animal", "fruit"), "লাল প্লেটের উপর কী আছে, প্রাণী না ফল?"),
    (m.ChooseBackground("sea", "night"), "ছবির পটভূমিতে কী আছে, সমুদ্র না রাতের আকাশ?"),
    # two things
    (m.AreBoth(Phrase("dog"), Phrase("cat")), "ছবিতে কি কুকুরও আছে, বিড়ালও আছে?"),
    (
        m.AreBoth(Phrase("star", colour="red"), Phrase("cow", plate="blue")),
        "ছবিতে কি লাল তারাও আছে, নীল প্লেটের উপর থাকা গরুও আছে?",
    ),
    (m.IsEither(Phrase("dog"), Phrase("cat")), "ছবিতে কি কোনো কুকুর বা কোনো বিড়াল আছে?"),
    (m.IsWithout(Phrase("dog"), Phrase("cat")), "ছবিতে কি একটি কুকুর আছে, কিন্তু কোনো বিড়াল নেই?"),
    (m.AreBothSize(Phrase("dog"), Phrase("cat"), "small"), "কুকুরটি এবং বিড়ালটি দুটিই কি ছোট?"),
    (m.AreSameColour(Phrase("star"), Phrase("circle")), "তারাটি এবং বৃত্তটি কি একই রঙের?"),
    (
        m.ArePlatesSameColour(Phrase("dog"), Phrase("cat")),
        "যে প্লেটে কুকুরটি আছে এবং যে প্লেটে বিড়ালটি আছে, সেগুলি কি একই রঙের?",
    ),
    (m.AreSameSize(Phrase("dog"), Phrase("cat")), "কুকুরটি এবং বিড়ালটি কি একই মাপের?"),
    (m.WhichIsLarger(Phrase("dog"), Phrase("cat")), "কোনটি বেশি বড়, কুকুরটি না বিড়ালটি?"),
    (m.AreThereMore("animal", "fruit"), "ছবিতে কি ফলের চেয়ে প্রাণী বেশি আছে?"),
    (m.AreThereMore("plant", "animal"), "ছবিতে কি প্রাণীর চেয়ে উদ্ভিদ বেশি আছে?"),
    # words with a second meaning, and modifiers with a second reading
    (m.AreSameSize(Phrase("bus"), Phrase("truck")), "বাসটি এবং ট্রাকটি কি একই মাপের?"),
]
