"""Words that name no goods: what people say around a purchase, measures, and "and".

English, German, French, Spanish, Italian and Dutch, without accents. A word that names goods in any
of these is not in here: "pan" is a preposition nowhere, and bread in Spain.
"""


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


AND = _set("and or plus with also & und oder mit sowie et ou avec y e o con ed en met")
OF = _set("of von de di")
STOP = _set(
    """
    a about also am an another any anything are as at be been bought buy buying by can could couple
    did do does few find for from get getting give gave got grab had has have having he hello her
    here hers hi him his how i id if ill im in into is it its ive just least let like looking look
    lot lots love may maybe me might more most much must my myself need needed needs new next now
    of on once one ones order ordered our ours out over own picked please purchase purchased put
    really recommend s she should show so some something such t than thank thanks that the their
    them then there these they this those to today tomorrow too took up us use used very want wanted
    wants was we week well were what when where which while who will without would yesterday you
    your yours ll ve re d m
    ich du er sie es wir ihr mir mich uns der die das den dem des ein eine einen einem einer habe
    hat haben hatte kaufte gekauft kaufen brauche brauchen suche suchen moechte mochte will bitte
    auch noch fur von zu zum zur im am auf ist sind mein meine meinen neue neuen neues
    je tu il elle nous vous ils le la les un une des du de au aux ai avons achete acheter cherche
    voudrais veux besoin pour dans mon ma mes l j
    yo el ella nosotros los las una unos unas del al he compre comprado comprar busco buscar quiero
    necesito para por mi mis
    io ho comprato cerco voglio gli uno della dei delle per
    ik heb gekocht kocht zoek wil graag het een voor mijn
    """
)
MEASURES = _set(
    """
    bag bags bar bars bottle bottles bowl bowls box boxes bunch bunches can cans carton cartons case
    cases ct cup cups dozen dozens dz gal gallon gallons gram grams g jar jars kg kilo kilos l lb
    lbs liter liters litre litres load loads loaf loaves ml ounce ounces oz pack packs package
    packages packet packets pair pairs pc pcs piece pieces pint pints pk pound pounds pt qt quart
    quarts roll rolls set sets slice slices stick sticks tub tubs tube tubes half quarter two three
    four five six seven eight nine ten twelve
    flasche flaschen dose dosen packung stuck bouteille bouteilles boite paquet
    """
)
