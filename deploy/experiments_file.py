"""`experiments.yaml`: which experiments there are. Processes look at it every second."""

from pathlib import Path
from typing import get_type_hints

from endcap.counted import counted
from endcap.deploy.models_file import Models, Named, named
from endcap.errors import SettingsError
from endcap.experiments import CURRENT, NO_EXPERIMENTS, Experiment, Experiments, refusals
from endcap.near_names import did_you_mean
from endcap.policy import Policy
from endcap.yaml_lines import FileMistakesError, Mistake, open_yaml


def read_experiments(path: Path) -> Experiments:
    """What the file says; where there is none, or it is empty, no experiment.

    Raises:
        FileMistakesError: every mistake with its line.
        SettingsError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return NO_EXPERIMENTS
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.") from error
    noted: list[Mistake] = []
    top = open_yaml(text, "the experiments file", noted)
    shop = NO_EXPERIMENTS if top is None else top.as_type(Experiments)
    if top is not None and shop is not None:
        for refusal in refusals(shop, policy_options()):
            top.wrong_at(refusal.path, f"{refusal.says}.")
    if noted or shop is None:
        raise FileMistakesError(f"{path}: {counted(len(noted), 'mistake')}.", noted)
    return shop


def policy_options() -> dict[str, type]:
    """What a variant may set of the slate: the numbers of `Policy`."""
    hints = get_type_hints(Policy)
    return {name: hints[name] for name in Policy._fields if hints[name] in {int, float}}


def find_experiment(shop: Experiments, name: str, path: Path) -> Experiment:
    """The one of this name.

    Raises:
        SettingsError: there is none.
    """
    for each in shop.experiments:
        if each.name == name:
            return each
    names = [each.name for each in shop.experiments]
    known = f" It names {', '.join(names)}." if names else " It names none."
    raise SettingsError(f"{path} has no experiment {name}.{did_you_mean(name, names) or known}")


def bundle_of(model: str, models: Models, folder: Path) -> Named | None:
    """The bundle that a variant names; None: whatever scores now. Relative to the file's `folder`.

    Raises:
        SettingsError: the models file names none in this part.
        BundleError: there is no bundle in the folder.
    """
    if model == CURRENT:
        return None
    if model in {"previous", "shadow"}:
        held: Named | None = getattr(models, model)
        if held is None:
            raise SettingsError(
                f"A variant has the model `{model}`, and the models file names none. "
                "`endcap models show` says what it names."
            )
        return held
    return named(folder / model)
