"""The words of answers, in English and Chinese: claims with places for facts, and plain notes.

A claim's places are filled from its citations in their order; a note has none, so that it can say
nothing that is not so.
"""

from endcap.assistant.question import Language

CLAIMS: dict[str, dict[Language, str]] = {
    "quote": {"en": "{0}", "zh": "{0}"},
    "order": {
        "en": "Order {0} was placed on {1}: articles {2}.",
        "zh": "订单{0}于{1}下单，共{2}件商品。",
    },
    "order_total": {"en": "Its total was {0}.", "zh": "总价{0}。"},
    "order_line": {"en": "• {0} × {1}", "zh": "• {0} × {1}"},
    "order_line_priced": {"en": "• {0} × {1}, {2} each", "zh": "• {0} × {1}，单价{2}"},
    "order_has": {"en": "Order {0} of {1} includes {2}.", "zh": "{1}的订单{0}里有{2}。"},
    "period": {
        "en": "From {0} to {1} your orders were: {2}.",
        "zh": "{0}到{1}您的订单数：{2}。",
    },
    "period_total": {"en": "You spent {0} on them.", "zh": "一共花了{0}。"},
    "bought_last": {
        "en": "You last bought {0} on {1} (order {2}).",
        "zh": "您上次买{0}是{1}（订单{2}）。",
    },
    "bought_times": {"en": "Orders with it: {0}.", "zh": "含有它的订单数：{0}。"},
    "bought_most": {"en": "• {0}: in {1} of your orders", "zh": "• {0}：在您的{1}个订单里"},
    "in_stock": {"en": "{0} is in stock.", "zh": "{0}有货。"},
    "in_stock_pieces": {"en": "{0} is in stock: {1} pieces.", "zh": "{0}有货，还有{1}件。"},
    "sold_out": {"en": "{0} is sold out now.", "zh": "{0}现在卖完了。"},
    "costs": {"en": "{0} costs {1}.", "zh": "{0}的价格是{1}。"},
    "costs_together": {"en": "{1} × {0} cost {2}.", "zh": "{1}件{0}共{2}。"},
    "reduced": {"en": "{0} costs {1} now; before it was {2}.", "zh": "{0}现在{1}，原价{2}。"},
    "recommended": {"en": "• {0}: {1}", "zh": "• {0}：{1}"},
    "recommended_plain": {"en": "• {0}", "zh": "• {0}"},
}
NOTES: dict[str, dict[Language, str]] = {
    "hello": {
        "en": "Hello! Ask me about your orders, products, prices, delivery or returns.",
        "zh": "您好！您可以问我订单、商品、价格、配送或退货方面的问题。",
    },
    "unknown": {
        "en": "I do not know that: nothing in the shop's records or documents answers it. "
        "Shall I hand you over to a person?",
        "zh": "这个我不知道：商店的记录和文件里没有答案。需要为您转人工吗？",
    },
    "login": {
        "en": "To see your orders I have to know who you are. Please log in and ask again.",
        "zh": "查看订单需要知道您是谁。请登录后再问。",
    },
    "orders_away": {
        "en": "Your orders cannot be read right now. Please try again in a minute.",
        "zh": "现在读不到您的订单。请稍后再试。",
    },
    "no_such_order": {
        "en": "There is no order with that number among yours.",
        "zh": "您的订单里没有这个订单号。",
    },
    "no_orders": {"en": "I see no orders of yours.", "zh": "我看不到您的任何订单。"},
    "no_orders_then": {
        "en": "I see no orders of yours in that time.",
        "zh": "这段时间里我看不到您的订单。",
    },
    "not_bought": {
        "en": "I do not see it among your orders.",
        "zh": "您的订单里没有它。",
    },
    "no_tracking": {
        "en": "The shop has told me no delivery status for it.",
        "zh": "商店没有告诉我它的配送状态。",
    },
    "not_sold": {
        "en": "The catalogue has nothing like that.",
        "zh": "商品目录里没有类似的商品。",
    },
    "which_product": {
        "en": "Which product do you mean? Please name it.",
        "zh": "您问的是哪种商品？请告诉我名称。",
    },
    "no_price": {"en": "The catalogue tells no price for it.", "zh": "商品目录里没有它的价格。"},
    "not_reduced": {"en": "It is not reduced now.", "zh": "它现在没有打折。"},
    "nothing_reduced": {
        "en": "The catalogue shows no reduced prices now.",
        "zh": "商品目录里现在没有降价商品。",
    },
    "reduced_now": {"en": "These cost less than before:", "zh": "这些商品降价了："},
    "recommend_for": {"en": "These go well with it:", "zh": "这些和它很搭配："},
    "recommend_you": {"en": "You might like these:", "zh": "您可能喜欢这些："},
    "usually": {"en": "You buy these most often:", "zh": "您最常买这些："},
    "nothing_to_recommend": {
        "en": "I have no recommendations right now.",
        "zh": "我现在没有推荐。",
    },
    "hand_over": {
        "en": "I hand you over to a person of our customer service, with what you have asked.",
        "zh": "我为您转接人工客服，并附上您之前的问题。",
    },
    "more": {
        "en": "There are more; name a day or an order to see them.",
        "zh": "还有更多，请说明日期或订单号。",
    },
}


def say(template: str, language: Language, values: list[str]) -> str:
    """A claim with its facts; values are put in as they are, braces in them too.

    >>> say("costs", "en", ["{1}", "$2"])
    '{1} costs $2.'
    """
    return CLAIMS[template][language].format(*values)
