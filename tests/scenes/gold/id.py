"""Meanings and the Indonesian that a native reader expects for them."""

from polyglance.scenes import meaning as m
from polyglance.scenes.meaning import Phrase

GOLD: list[tuple[m.Caption | m.Fragment | m.Question, str]] = [
    # captions
    (
        (
            m.ShowsRelated(Phrase("star", size="small", colour="red", plate="blue"), "left", Phrase("dog")),
            m.ShowsCount(2, "apple"),
            m.ShowsBackground("night"),
        ),
        "Pada malam hari, sebuah bintang merah kecil di piring biru di sebelah kiri seekor anjing, dua buah apel.",
    ),
    ((m.Shows(Phrase("rabbit", size="large")), m.ShowsBackground("meadow")), "Di padang rumput, seekor kelinci besar."),
    ((m.ShowsCount(2, "sailboat"), m.ShowsBackground("sea")), "Di laut, dua buah perahu layar."),
    ((m.Shows(Phrase("cactus")), m.ShowsBackground("desert")), "Di gurun, sebatang kaktus."),
    # counters and adjectives
    (m.Shows(Phrase("animal", plate="orange")), "seekor hewan di piring oranye"),
    (m.Shows(Phrase("fruit", plate="white")), "sebutir buah di piring putih"),
    (m.Shows(Phrase("garment", size="small")), "sepotong pakaian kecil"),
    (m.Shows(Phrase("instrument", size="large")), "sebuah alat musik besar"),
    (m.Shows(Phrase("turtle", size="small", plate="purple")), "seekor kura-kura kecil di piring ungu"),
    (m.Shows(Phrase("sunflower", size="large")), "setangkai bunga matahari besar"),
    (m.Shows(Phrase("fir tree", plate="green")), "sebatang pohon cemara di piring hijau"),
    (m.Shows(Phrase("axe", plate="black")), "sebilah kapak di piring hitam"),
    (m.Shows(Phrase("boot", plate="yellow")), "sebuah sepatu bot di piring kuning"),
    (m.Shows(Phrase("crescent", size="large", colour="yellow")), "sebuah bulan sabit kuning besar"),
    (m.Shows(Phrase("heart", colour="red", plate="black")), "sebuah bentuk hati merah di piring hitam"),
    (m.Shows(Phrase("diamond", size="small", colour="white")), "sebuah belah ketupat putih kecil"),
    (m.ShowsCount(2, "cat"), "dua ekor kucing"),
    (m.ShowsCount(2, "fruit"), "dua butir buah"),
    (m.ShowsCount(3, "animal"), "tiga ekor hewan"),
    (m.ShowsCount(3, "scarf"), "tiga helai syal"),
    (m.ShowsCount(3, "car"), "tiga buah mobil"),
    (m.ShowsCount(4, "rose"), "empat tangkai mawar"),
    (m.ShowsCount(4, "garment"), "empat potong pakaian"),
    (m.ShowsCount(5, "pencil"), "lima batang pensil"),
    (m.ShowsCount(5, "coconut"), "lima butir kelapa"),
    (m.ShowsCount(6, "palm tree"), "enam batang pohon palem"),
    (m.ShowsCount(6, "axe"), "enam bilah kapak"),
    # places
    (
        m.ShowsRelated(Phrase("dog"), "right", Phrase("cat", size="small")),
        "seekor anjing di sebelah kanan seekor kucing kecil",
    ),
    (m.ShowsRelated(Phrase("rocket"), "above", Phrase("pig")), "sebuah roket di atas seekor babi"),
    (
        m.ShowsRelated(Phrase("tulip"), "below", Phrase("cap", plate="red")),
        "setangkai tulip di bawah sebuah topi bisbol di piring merah",
    ),
    (
        m.ShowsBetween(Phrase("frog"), Phrase("tie"), Phrase("star", colour="blue")),
        "seekor katak di antara sehelai dasi dan sebuah bintang biru",
    ),
    # yes or no
    (m.IsThere(Phrase("elephant", size="small")), "Apakah di gambar ini ada gajah kecil?"),
    (m.IsThere(Phrase("kiwi", plate="green")), "Apakah di gambar ini ada kiwi di piring hijau?"),
    (m.IsThereCategory(Phrase("vehicle", size="large")), "Apakah di gambar ini ada kendaraan besar?"),
    (m.IsColour(Phrase("star"), "red"), "Apakah bintang itu berwarna merah?"),
    (
        m.IsColour(Phrase("circle", size="small", plate="blue"), "purple"),
        "Apakah lingkaran kecil di piring biru itu berwarna ungu?",
    ),
    (m.IsPlateColour(Phrase("dog"), "red"), "Apakah piring tempat anjing itu berada berwarna merah?"),
    (m.IsSize(Phrase("dog"), "small"), "Apakah anjing itu kecil?"),
    (m.IsRelated(Phrase("dog"), "left", Phrase("cat")), "Apakah anjing itu berada di sebelah kiri kucing itu?"),
    (
        m.IsRelated(Phrase("drum"), "above", Phrase("canoe", plate="red")),
        "Apakah drum itu berada di atas kano di piring merah itu?",
    ),
    (
        m.IsBetween(Phrase("dog"), Phrase("cat"), Phrase("star", colour="red")),
        "Apakah anjing itu berada di antara kucing itu dan bintang merah itu?",
    ),
    (m.IsBackground("meadow"), "Apakah gambar ini menampilkan padang rumput?"),
    (m.IsBackground("night"), "Apakah gambar ini menampilkan langit malam?"),
    # open
    (m.WhatColour(Phrase("triangle", size="large")), "Apa warna segitiga besar itu?"),
    (m.WhatPlateColour(Phrase("magnifying glass")), "Apa warna piring tempat kaca pembesar itu berada?"),
    (m.WhatIsRelated("left", Phrase("dog")), "Apa yang ada di sebelah kiri anjing itu?"),
    (m.WhatIsRelated("below", Phrase("square", colour="green")), "Apa yang ada di bawah persegi hijau itu?"),
    (m.WhatIsOnPlate("blue"), "Apa yang ada di piring biru itu?"),
    (m.WhichOfCategory("animal"), "Hewan apa yang ada di gambar ini?"),
    (m.WhichOfCategory("instrument"), "Alat musik apa yang ada di gambar ini?"),
    (m.WhatCategoryOnPlate("red"), "Yang ada di piring merah itu termasuk kategori apa?"),
    (m.WhatBackground(), "Apa latar belakang gambar ini?"),
    # one of two
    (m.ChooseColour(Phrase("star"), "red", "blue"), "Apa warna bintang itu, merah atau biru?"),
    (
        m.ChoosePlateColour(Phrase("dog"), "white", "orange"),
        "Apa warna piring tempat anjing itu berada, putih atau oranye?",
    ),
    (m.ChooseSize(Phrase("giraffe")), "Apakah jerapah itu kecil atau besar?"),
    (
        m.ChooseRelation(Phrase("dog"), Phrase("cat"), vertical=False),
        "Apakah anjing itu berada di sebelah kiri atau di sebelah kanan kucing itu?",
    ),
    (
        m.ChooseRelation(Phrase("dog"), Phrase("cat"), vertical=True),
        "Apakah anjing itu berada di atas atau di bawah kucing itu?",
    ),
    (m.ChooseKind("dog", "cat"), "Manakah yang ada di gambar ini, anjing atau kucing?"),
    (m.ChooseCategoryOnPlate("red", "animal", "fruit"), "Manakah yang ada di piring merah itu, hewan atau buah?"),
    (m.ChooseBackground("sea", "desert"), "Manakah yang ditampilkan gambar ini, laut atau gurun?"),
    # two at once
    (m.AreBoth(Phrase("dog"), Phrase("cat", size="small")), "Apakah di gambar ini ada anjing dan juga kucing kecil?"),
    (
        m.IsEither(Phrase("dog"), Phrase("cat")),
        "Apakah di gambar ini ada anjing atau kucing, setidaknya salah satunya?",
    ),
    (m.IsWithout(Phrase("dog"), Phrase("cat")), "Apakah di gambar ini ada anjing, tetapi tidak ada kucing?"),
    (
        m.IsWithout(Phrase("snail"), Phrase("cross", size="large", colour="black", plate="red")),
        "Apakah di gambar ini ada siput, tetapi tidak ada palang hitam besar di piring merah?",
    ),
    (m.AreBothSize(Phrase("dog"), Phrase("lion"), "small"), "Apakah anjing itu dan singa itu sama-sama kecil?"),
    (m.AreSameColour(Phrase("star"), Phrase("circle")), "Apakah bintang itu dan lingkaran itu berwarna sama?"),
    (
        m.ArePlatesSameColour(Phrase("dog"), Phrase("paintbrush")),
        "Apakah piring tempat anjing itu berada dan piring tempat kuas itu berada berwarna sama?",
    ),
    (m.AreSameSize(Phrase("dog"), Phrase("cat")), "Apakah anjing itu dan kucing itu berukuran sama?"),
    (m.WhichIsLarger(Phrase("elephant"), Phrase("t-shirt")), "Manakah yang lebih besar, gajah itu atau kaus itu?"),
    (m.AreThereMore("animal", "fruit"), "Apakah di gambar ini ada lebih banyak hewan daripada buah?"),
    (m.AreThereMore("tool", "plant"), "Apakah di gambar ini ada lebih banyak perkakas daripada tanaman?"),
    (m.HowMany("fish"), "Berapa jumlah ikan di gambar ini?"),
    (m.HowMany("shape"), "Berapa jumlah bentuk di gambar ini?"),
    # words with a second meaning, and modifiers with a second reading
    (m.ShowsCount(2, "heart"), "dua buah bentuk hati"),
    (m.HowMany("heart"), "Berapa jumlah bentuk hati di gambar ini?"),
]
