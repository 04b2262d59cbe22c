import json

import pytest

from invarmr.errors import InputError
from invarmr.study.config import StudyConfig

FULL = """
[genotypes]
path = "cohort.bed"
[phenotypes]
path = "/data/phenotypes.tsv"
sample_id = "IID"
exposure = "ldl"
outcome = "sbp"
environment = "site"
covariates = ["age", "sex"]
categorical = ["sex"]
cluster = "family"
missing_codes = ["-9"]
[instruments]
variants = "instruments.tsv"
columns = ["score"]
[quality_control]
min_call_rate = 1
min_allele_frequency = 0.05
min_hardy_weinberg_p = 0
[components]
count = 4
columns = []
variants = "lists/pruned.tsv"
max_variants = 500
[learn]
method = "stationary"
n_latent = 3
held_out = 0.3
[estimate]
level = 0.9
std_errors = "clustered"
[truth]
path = "truth.json"
samples = "truth_samples.tsv"
[run]
seed = 7
"""
SMALL = """
[phenotypes]
path = "p.tsv"
exposure = "x"
outcome = "y"
environment = "k"
[instruments]
columns = ["z"]
"""


def read(tmp_path, text):
    path = tmp_path / "study.toml"
    path.write_text(text)
    return StudyConfig.from_toml(path)


def refused(tmp_path, text):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    return str(caught.value)


def test_every_key_and_relative_paths(tmp_path):
    config = read(tmp_path, FULL)
    assert config.genotypes.path == tmp_path / "cohort.bed"
    assert str(config.phenotypes.path) == "/data/phenotypes.tsv"
    assert config.instruments.variants == tmp_path / "instruments.tsv"
    assert config.components.variants == tmp_path / "lists" / "pruned.tsv"
    assert config.truth.samples == tmp_path / "truth_samples.tsv"
    assert config.phenotypes.covariates == ("age", "sex")
    assert config.quality_control.min_call_rate == 1.0
    assert (config.learn.n_latent, config.learn.held_out, config.run.seed) == (3, 0.3, 7)
    assert (config.estimate.level, config.estimate.std_errors) == (0.9, "clustered")


def test_defaults(tmp_path):
    config = read(tmp_path, SMALL)
    assert config.genotypes is None
    assert config.truth is None
    assert config.phenotypes.sample_id == "IID"
    assert (config.components.count, config.components.variants, config.components.max_variants) == (10, "all", 2000)
    assert (config.learn.method, config.learn.n_latent, config.learn.held_out) == ("auto", None, 0.3)
    assert (config.estimate.level, config.estimate.std_errors) == (0.95, "many-instrument")
    assert config.quality_control.min_hardy_weinberg_p == 1e-6
    assert config.run.seed == 1


def test_all_variants(tmp_path):
    config = read(tmp_path, '[genotypes]\npath = "c.pgen"\n' + SMALL.replace('columns = ["z"]', 'variants = "all"'))
    assert config.instruments.variants == "all"


def test_settings_are_frozen_and_survive_json(tmp_path):
    config = read(tmp_path, FULL)
    with pytest.raises(ValueError, match="frozen"):
        config.run.seed = 2
    record = json.loads(config.to_json())
    assert record["genotypes"]["path"] == str(tmp_path / "cohort.bed")
    assert StudyConfig.model_validate(record) == config
    assert (
        StudyConfig(
            phenotypes={"path": "p.tsv", "exposure": "x", "outcome": "y", "environment": "k"},
            instruments={"columns": ["z"]},
        ).phenotypes.path.name
        == "p.tsv"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('exposure = "x"', 'exposre = "x"', "[phenotypes] exposure is required"),
        (
            'exposure = "x"',
            'exposure = "x"\nenviroment = "k"',
            "[phenotypes] has no key 'enviroment' (did you mean 'environment'?)",
        ),
        ('exposure = "x"', 'exposure = "x"\nzzz = 1', "[phenotypes] has no key 'zzz' (it knows path, sample_id"),
        (
            "[instruments]",
            "[genotype]\npath = 'c.bed'\n[instruments]",
            "no section [genotype] (did you mean 'genotypes'?)",
        ),
        ("[instruments]", "[genotypes]\nfile = 'c.bed'\n[instruments]", "[genotypes] has no key 'file'"),
        ("[instruments]", "[run]\nsede = 2\n[instruments]", "[run] has no key 'sede' (did you mean 'seed'?)"),
        ("[instruments]", "[estimate]\nbootstrap = 5\n[instruments]", "bootstrap must be 0, or 20 replicates or more"),
        (
            "[instruments]",
            "[estimate]\ncross_fitting = 1\n[instruments]",
            "cross_fitting must be 0, or 2 parts or more",
        ),
        ("[instruments]", "[estimate]\ncross_fitting = -2\n[instruments]", "cross_fitting"),
        (
            "[instruments]",
            '[estimate]\ncross_fitting = 2\n[learn]\nmethod = "none"\n[instruments]',
            'cross_fitting learns in every part, but [learn] method is "none"',
        ),
        (
            "[instruments]",
            '[estimate]\ncross_fitting = 2\nbootstrap = 50\n[learn]\nmethod = "flow"\n[instruments]',
            'bootstrap takes the network of "flow" as known',
        ),
        ('exposure = "x"', "exposure = 5", "[phenotypes] exposure must be text in quotation marks, but is 5"),
        (
            'path = "p.tsv"',
            "path = 5",
            '[phenotypes] path must be text in quotation marks or a list, such as ["age", "sex"], but is 5',
        ),
        ('exposure = "x"', 'exposure = ""', '[phenotypes] exposure must be a name, not empty, but is ""'),
        (
            'exposure = "x"',
            'exposure = "x"\ncovariates = "age"',
            '[phenotypes] covariates must be a list, such as ["age", "sex"], but is "age"',
        ),
        (
            'exposure = "x"',
            'exposure = "x"\ncovariates = [1]',
            "[phenotypes] covariates must be text in quotation marks, but is 1",
        ),
        ('columns = ["z"]', "", "[instruments] name the instruments"),
        ('columns = ["z"]', 'columns = ["z", "z"]', "[instruments] columns names z more than once"),
        ('columns = ["z"]', 'variants = "i.tsv"', "add a section [genotypes]"),
        ('columns = ["z"]', "variants = 3", "[instruments] variants must be text in quotation marks, but is 3."),
        ('[instruments]\ncolumns = ["z"]', "", "[instruments] is required"),
        ("[instruments]", '[run]\nseed = "1"\n[instruments]', '[run] seed must be a whole number, but is "1"'),
        ("[instruments]", "[run]\nseed = 1.5\n[instruments]", "[run] seed must be a whole number, but is 1.5"),
        (
            "[instruments]",
            "[run]\nseed = -1\n[instruments]",
            "[run] seed must be greater than or equal to 0, but is -1",
        ),
        ("[instruments]", "[run]\nseed = true\n[instruments]", "[run] seed must be a whole number, but is true"),
        ("[instruments]", "[estimate]\nlevel = 95\n[instruments]", "[estimate] level must be less than 1, but is 95"),
        ("[instruments]", "[estimate]\nlevel = '0.95'\n[instruments]", "[estimate] level must be a number"),
        (
            "[instruments]",
            "[estimate]\nstd_errors = 'HC3'\n[instruments]",
            "[estimate] std_errors must be 'many-instrument', 'homoskedastic', 'robust' or 'clustered', but is \"HC3\"",
        ),
        (
            "[instruments]",
            "[estimate]\nstd_errors = 'clustered'\n[instruments]",
            "needs the column in [phenotypes] cluster",
        ),
        ("[instruments]", "[learn]\nmethod = 'ica'\n[instruments]", "[learn] method must be one of stationary"),
        ('environment = "k"', "", "compares environments"),
        ('outcome = "y"', 'outcome = "x"', "x has more than one of these roles"),
        ('outcome = "y"', 'outcome = "k"', "the outcome 'k' cannot also be the environment"),
        ('outcome = "y"', 'outcome = "y"\ncategorical = ["sex"]', "sex is not one; add it there"),
        ("[phenotypes]", "run = 3\n[phenotypes]", "[run] must be a section, but is 3"),
    ],
)
def test_bad_settings_in_plain_words(tmp_path, old, new, message):
    text = refused(tmp_path, SMALL.replace(old, new, 1))
    assert message in text
    assert "study.toml" in text
    assert "pydantic" not in text


def test_everything_wrong_is_named_at_once(tmp_path):
    text = refused(tmp_path, SMALL.replace('exposure = "x"', "exposre = 'x'"))
    assert "[phenotypes] exposure is required" in text
    assert "did you mean 'exposure'" in text


def test_learning_nothing_needs_no_environment(tmp_path):
    config = read(tmp_path, SMALL.replace('environment = "k"', "") + '[learn]\nmethod = "none"\n')
    assert config.phenotypes.environment is None


def test_files_that_are_not_toml(tmp_path):
    assert "line 2" in refused(tmp_path, "[run]\nseed 3\n")
    (tmp_path / "study.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not valid TOML"):
        StudyConfig.from_toml(tmp_path / "study.toml")
    with pytest.raises(InputError, match="could not be read"):
        StudyConfig.from_toml(tmp_path / "none.toml")
