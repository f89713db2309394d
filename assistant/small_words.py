"""Words of questions that name nothing themselves: those around goods, small ones, numbers."""


def word_set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


NUMBER_WORDS = {
    word: number
    for number, word in enumerate(
        [
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
        ],
        start=1,
    )
}
HAN_NUMBERS = {char: number for number, char in enumerate("一二三四五六七八九十", start=1)} | {
    "两": 2,
    "十一": 11,
    "十二": 12,
}
LIGHT = word_set(
    """
    a an and are as at be but by can could did do does for from had has have how i if in is it its
    me my of on or our please so that the their them there these they this to up us was we were what
    when where which who why will with would you your am im not no any 的 了 吗 呢 我 你 您 们 是
    在 有 可 以 怎 么 什 多 少 吧 啊 请 问 要 想 能 会 和 就 都 还 也 一 个 这 那 到 把
    """
)
"""Every text has them: no text is found by them."""
AROUND_GOODS = word_set(
    """
    price prices priced pricey cost costs charge expensive cheap cheapest cheaper dollars dollar
    much many stock sell sells sold available availability left carry kind kinds offer offers
    offered deal deals sale sales discount discounts discounted reduced promotion promotions special
    specials bargain bargains search buying bought purchase purchases last time times often ever
    usually order orders ordered include included contain going go goes well nicely together pair
    pairs suggest suggestion suggestions recommend recommended recommendation recommendations
    something anything ideas idea else cook make making made people shop store here now back check
    tell know thing things stuff return returned exchange exchanged refund damaged broken spoiled
    item items product products good nice today yesterday week weeks month months year day days
    since january february march april june july august september october november december how
    when what why which whether does did is there question hey dear thx pls plz us each per unit
    total ones type types variety sort sorts different best most least lowest highest under below
    above stocked restock was were been being get gets got gotten received receive arrived arrive
    came come comes cuanto cuesta precio tienen hay kostet kosten wie teuer haben habt sie lager
    combien coute coutent prix avez vous vendez quanto avete prezzo compre vez ultima passt zu went
    actually currently still already right real really lately recently again before earlier ago
    what's whats gimme hand normally generally usual happen happens find guys guy money off moment
    pick after bit grab other others based let cuestan are any was pay paid paying spend spent
    spending money list lists listed history record records everything all details detail number
    contents content receipt track shopping open household account
    """
)
"""Words around the goods of a question; those around a purchase are `endcap.text`'s STOP."""
HAN_AROUND_GOODS = (
    "有没有|多少钱|什么时候|最便宜|是多少|怎么卖|请问|你们|我们|我想|我要|我在|想买|要买|买过|买了|可以|"
    "哪些|哪种|哪里|哪个|还有|有货|库存|现货|价格|价钱|打折|优惠|促销|特价|推荐|卖完|上次|几次|"
    "东西|商品|最近|今天|现在|活动|有吗|吗|呢|的|了|吧|啊|找|买|卖|有|在|是|要|我|和|跟|与|什么|多少|怎么|几|个"
)
