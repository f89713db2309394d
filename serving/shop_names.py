"""Names as the storefront's shelves say them: what a till writes short, in full.

For the eye alone. A category as it is written is the key of lists and rules, and the model has
learned its words from the titles as they are. Where a till has cut a name off, what leaves no
doubt is put back, and the rest left out. Two thirds of this file are the table of Complete
Journey's short words.
"""

import re

from endcap.catalogue import CatalogueItem

_SHORT = {
    # Names that no single word puts right.
    "beeralemalt liquors": "beer, ale & malt liquor",
    "dairy case": "chilled",
    "drug gm": "drugstore & general goods",
    "entrees / dnrs / n": "entrees / dinners",
    "entrees / dnrs / t": "entrees / dinners",
    "entrees / dinners all": "entrees / dinners",
    "fluid milk white only": "white milk",
    "fluid milk": "milk",
    "gm merch exp": "general goods",
    "meat-pckgd": "packaged meat",
    "misc sales trans": "miscellaneous",
    "pure juice - o": "pure juice",
    "saucessalsapicantee": "sauces, salsa & picante",
    "seafood-fre": "fresh seafood",
    "seafood-frz": "frozen seafood",
    "seafood-pckgd": "packaged seafood",
    "sft drnk 2 liter btl carb incl": "soft drink, 2 liter bottle",
    "sft drnk 3 liter btl carb": "soft drink, 3 liter bottle",
    "sft drnk mlt-pk btl carb": "soft drinks, bottles, multi-pack",
    "sft drnk sngl srv btl carb": "soft drink, single bottle",
    "sgl sv / vend mach snacks chip / p": "single-serve snacks: chips",
    "soft drinks 12 / 18&15pk can car": "soft drinks, 12 to 18 cans",
    "soft drinks 20pk&24pk can carb": "soft drinks, 20 or 24 cans",
    "soft drinks 6pk / 4pk can carb": "soft drinks, 4 or 6 cans",
    "soup: chunky / homestyle et": "soup: chunky / homestyle",
    "ctlrytblclthstthpksst": "cutlery, tablecloths & toothpicks",
    "yogurt not multi-packs": "yogurt, single cup",
    # Words.
    "8pc": "8-piece",
    "bag & b": "bags",
    "bbq": "BBQ",
    "bev": "beverage",
    "bg": "bags",
    "bkd": "baked",
    "bn": "beans",
    "brd": "breaded",
    "brkfst": "breakfast",
    "btl": "bottle",
    "btr": "butter",
    "can catfd": "canned cat food",
    "can dog food": "canned dog food",
    "can dogfd": "canned dog food",
    "catfd": "cat food",
    "chick": "chicken",
    "children s": "children's",
    "chix": "chicken",
    "choc": "chocolate",
    "chococlate": "chocolate",
    "chocol": "chocolate",
    "chocola": "chocolate",
    "cilanto": "cilantro",
    "cke": "cake",
    "ckys": "cookies",
    "cleane": "cleaner",
    "cleang": "cleaning",
    "cnd": "canned",
    "cndy": "candy",
    "cntrl": "control",
    "compactor ba": "compactor bags",
    "conc": "concentrate",
    "containr": "container",
    "crkr": "crackers",
    "crystl": "crystal",
    "decaffinated": "decaffeinated",
    "disposible": "disposable",
    "dnr": "dinner",
    "dnrs": "dinners",
    "dogfd": "dog food",
    "dps": "dips",
    "drnk": "drink",
    "drnking": "drinking",
    "drnkng": "drinking",
    "drnks": "drinks",
    "drsng": "dressing",
    "dsh": "dish",
    "dz": "dozen",
    "english": "English",
    "entrees / sandwic": "entrees / sandwiches",
    "fd": "food",
    "fem": "feminine",
    "fem. hygn. tampons": "feminine hygiene tampons",
    "fem. hygn.napkins": "feminine hygiene napkins",
    "flvr": "flavored",
    "flvrd": "flavored",
    "frd": "fried",
    "french": "French",
    "frz": "frozen",
    "frzn": "frozen",
    "ga": "gal",
    "gds": "goods",
    "gngr": "ginger",
    "grnd": "ground",
    "hbc": "care",
    "hispanic": "Hispanic",
    "hngrs": "hangers",
    "hygn": "hygiene",
    "instore": "in-store",
    "iqf": "single frozen",
    "italian": "Italian",
    "iws": "individually wrapped",
    "jce": "juice",
    "jui": "juice",
    "juic": "juice",
    "linaments": "liniments",
    "liqs": "liquids",
    "loave": "loaf",
    "lozng-drp": "lozenges",
    "lss thn": "less than",
    "marin-wet": "marinades",
    "mexican": "Mexican",
    "mixs": "mixes",
    "mlk": "milk",
    "mlt": "multi",
    "mneral wate": "mineral water",
    "mnrl wat": "mineral water",
    "mult": "multi",
    "multi serve entrees all": "multi-serve entrees",
    "multigrain br": "multigrain bread",
    "mustar": "mustard",
    "mw": "microwave",
    "mx": "mix",
    "mxs": "mixes",
    "non-crbntd": "still",
    "non-iws single cheese": "single cheese",
    "orgnzrs": "organizers",
    "paper handke": "paper handkerchiefs",
    "pckgd": "packaged",
    "pickld": "pickled",
    "pk": "pack",
    "pkg": "package",
    "pkgd": "packaged",
    "pkld": "pickled",
    "plstc": "plastic",
    "pnch": "punch",
    "pnt": "peanut",
    "porton": "portion",
    "ppk": "prepack",
    "prem": "premium",
    "preportnd": "portioned",
    "preslc": "sliced",
    "preslcd": "sliced",
    "produc": "products",
    "protien": "protein",
    "prpck": "prepack",
    "prslc": "sliced",
    "pwdr": "powder",
    "pwdrs": "powders",
    "qsr": "quick service",
    "ranier": "rainier",
    "refigerated": "refrigerated",
    "refrgratd": "refrigerated",
    "refrig": "refrigerated",
    "rtd": "ready-to-drink",
    "rts": "ready-to-serve",
    "sal": "salads",
    "salad dressing may": "salad dressing / mayonnaise",
    "sald": "salad",
    "saus": "sausage",
    "sft": "soft",
    "sherbts": "sherbets",
    "shlfsh": "shellfish",
    "sndwch": "sandwich",
    "sngl": "single",
    "snks": "snacks",
    "specilaty": "specialty",
    "sply": "supplies",
    "splys": "supplies",
    "sprd": "spread",
    "srv": "serve",
    "ss": "single-serve",
    "stk": "stick",
    "sup prem": "super premium",
    "suppplies": "supplies",
    "sv bev": "service bar",
    "sw": "sweet",
    "sweetners": "sweeteners",
    "swt": "sweet",
    "syrp": "syrup",
    "tiss": "tissues",
    "tn": "Tennessee",
    "tort": "tortilla",
    "trsh": "trash",
    "tv": "TV",
    "undergarmen": "undergarments",
    "unswe": "unsweetened",
    "vac pac": "vacuum-packed",
    "vegetables- value a": "vegetables - value",
    "w /": "with",
    "whl": "whole",
    "whlsm": "wholesome",
    "women s": "women's",
    "wt": "weight",
    "wtr": "water",
    "x-large": "extra large",
    "xpctrnt": "expectorant",
}
_WHOLE_WORDS = re.compile(
    rf"(?<!\w)(?:{'|'.join(sorted(map(re.escape, _SHORT), key=len, reverse=True))})(?!\w)",
    re.IGNORECASE,
)
_CUT_OFF = re.compile(r"\s*\([^()]*?(?=, \d|$)")
"""A bracket that was opened, and cut off before it was closed."""
_TIMES = re.compile(r"(?<=, )(\d+ pack|[2-9]|\d\d)/ ?(?=[\d.]+ oz)")
_STRAY_LETTER = re.compile(r", [a-z] +(?=\d)")
_TIGHT_AND = re.compile(r"(?<=[^\s&])&(?=[^\s&])")
_TIGHT_MARK = re.compile(r"([:)])(?=[\w(])")
_TIGHT_BRACKET = re.compile(r"(?<=\w)\(")

_OF_ITS_SHELF = {
    "Bacon": "bacon",
    "Beef": "beef",
    "Dinner Sausage": "sausage",
    "Ice Cream/Milk/Sherbts": "ice cream",
    "Lunchmeat": "lunchmeat",
    "Pasta Sauce": "pasta sauce",
    "Pork": "pork",
    "Salad Mix": "salad mix",
}
_NO_NOUN = {
    *("economy", "enhanced", "fresh", "lean", "mainstream", "premium", "primal"),
    *("smoked / cooked", "traditional", "value"),
}
"""Names that say nothing unless the shelf stands beside them."""


def written_out(name: str) -> str:
    """A title, a category, or a reason that holds one.

    >>> written_out("Frzn ss premium entrees / dnrs / t, 12 oz")
    'Frozen single-serve premium entrees / dinners, 12 oz'
    >>> written_out("Soft drinks 12 / 18&15pk can car, 12 pk/12 oz")
    'Soft drinks, 12 to 18 cans, 12 × 12 oz'
    >>> written_out("Sandwiches&handhelds, l 9 oz"), written_out("Sald Drsng/Sndwch Sprd")
    ('Sandwiches & handhelds, 9 oz', 'Salad Dressing/Sandwich Spread')
    >>> written_out("often bought with Candy bars (singles)(including, 1 oz")
    'often bought with Candy bars (singles), 1 oz'
    """
    # Names first: in some of them signs stand as tightly as they do in nothing else.
    said = _WHOLE_WORDS.sub(_in_full, name)
    said = _STRAY_LETTER.sub(", ", _CUT_OFF.sub("", said))
    said = _TIMES.sub(lambda found: f"{found[1].removesuffix(' pack')} × ", said)
    said = _TIGHT_BRACKET.sub(" (", _TIGHT_MARK.sub(r"\1 ", _TIGHT_AND.sub(" & ", said)))
    return said.strip()


def shelf_title(item: CatalogueItem) -> str:
    """What stands on the item's card.

    >>> shelf_title(CatalogueItem("1", "Premium, 48 oz", "Ice Cream/Milk/Sherbts"))
    'Premium ice cream, 48 oz'
    """
    name, comma, size = item.title.partition(", ")
    if name.lower() in _NO_NOUN and item.category in _OF_ITS_SHELF:
        return written_out(f"{name} {_OF_ITS_SHELF[item.category]}{comma}{size}")
    return written_out(item.title)


def _in_full(found: re.Match[str]) -> str:
    short = found.group()
    full = _SHORT[short.lower()]
    if short.istitle() and not short.isalpha():
        return full.title()
    return full[0].upper() + full[1:] if short[0].isupper() else full
