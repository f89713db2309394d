"""`endcap campaign`: whom to address, what it brought, and how sure that is."""

from typing import Annotated

import typer

from endcap.deploy.printed import Json, screen
from endcap.deploy.printed import show as show_result

app = typer.Typer(no_args_is_help=True, help="Campaigns: uplift, assignment, reports.")


@app.command()
def evaluate(as_json: Json = False) -> None:
    """Judge targeting by uplift on Complete Journey's later campaigns, against response and chance.

    Takes about three minutes on one core.

    Example: endcap campaign evaluate --json
    """
    from endcap.deploy.campaign_data import opened_journey
    from endcap.marketing.evaluation import balance, controls, figures, judge, split_of

    journey = opened_journey()
    split = split_of(journey)
    judged = judge(journey, split, says=_say)
    found = {"outcome": "promoted", "unit": "dollars per shopper and campaign"} | figures(judged)
    found |= {"balance": balance(judged), "controls": controls(journey, split)}
    _say("The same for all that was spent.")
    found["all_spend"] = figures(judge(journey, split, "total"))
    found["learned_campaigns"] = [each.campaign_id for each in split.learned]
    found["judged_campaigns"] = [each.campaign_id for each in split.judged]
    show_result(found, as_json)


@app.command()
def selftest(
    seed: Annotated[int, typer.Option(help="Of the made-up shop.", min=0)] = 1,
    as_json: Json = False,
) -> None:
    """Let the estimates judge a made-up shop whose truth is known. Exit code 1 where they miss it.

    Example: endcap campaign selftest --json
    """
    from endcap.deploy.campaign_data import needs_marketing

    needs_marketing()
    from endcap.marketing.simulation import selftest as simulate

    found = simulate(seed)
    show_result(found, as_json)
    is_sound = found["finds_average"] and found["finds_qini"] and found["beats_response"]
    raise typer.Exit(0 if is_sound else 1)


def _say(sentence: str) -> None:
    screen.print(sentence, highlight=False)
