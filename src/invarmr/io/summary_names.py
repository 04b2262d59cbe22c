"""What a layout of GWAS summary statistics is, and the column names that mean the same whatever the tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["COMMON", "EFFECT_NAMES", "GROUPS", "OTHER_NAMES", "PAIRS", "SummaryFormat"]

Names = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SummaryFormat:
    """One layout of summary statistics.

    Parameters
    ----------
    name
        What it is called.
    header
        A header as the tool writes it; for messages, tests and the manual.
    requires
        Lower-case column names by which it is known: of each group one must be there; `*` stands for anything.
    columns
        Our field: the names read for it, lower case, in order of preference; before those of `COMMON`, and instead
        of them where there are none.
    effect_allele
        The allele whose copies `beta` counts, in words.
    source
        Where that is documented.
    refused
        Why the layout cannot be read, where it cannot.
    """

    name: str
    header: str
    requires: tuple[Names, ...]
    columns: Mapping[str, Names] = field(default_factory=dict)
    effect_allele: str
    source: str
    refused: str = ""


GROUPS = ("afr", "amr", "csa", "eas", "eur", "mid", "meta_hq", "meta")
"""Ancestry groups of Pan-UKB, which has columns for each."""

EFFECT_NAMES: Names = (
    "effect_allele", "ea", "tested_allele", "assessed_allele", "assessedallele", "effectallele", "coded_allele",
    "allele_effect",
)  # fmt: skip
OTHER_NAMES: Names = (
    "other_allele", "nea", "oa", "non_effect_allele", "noneffect_allele", "non_effect", "otherallele",
    "noncoded_allele", "non_coded_allele", "allele_other", "reference_allele",
)  # fmt: skip
"""Names that say themselves which allele is counted, and which is not."""

PAIRS: tuple[tuple[str, str], ...] = (
    ("a1", "a2"), ("allele1", "allele2"), ("a0", "a1"), ("allele0", "allele1"), ("allelea", "alleleb"),
    ("a_0", "a_1"), ("allele_1", "allele_2"), ("minor_allele", "major_allele"),
)  # fmt: skip
"""Names that do not: tools disagree on which of the two is counted."""

COMMON: Mapping[str, Names] = {
    "SNP": (
        "snp", "rsid", "rs_id", "rsids", "hm_rsid", "variant_id", "id", "markername", "markerid", "snpid", "variant",
        "marker", "rs_number", "rsnumber", "snp_id", "snp_name", "rs",
    ),
    "beta": ("beta", "b", "effect", "effect_size", "log_odds", "log_or", "logor", "beta_effect"),
    "odds_ratio": ("or", "odds_ratio", "oddsratio", "hazard_ratio", "hr"),
    "se": ("se", "standard_error", "stderr", "log(or)_se", "sebeta", "se_beta", "std_error", "std_err", "se_dgc"),
    "ci_lower": ("ci_lower", "l95", "or_95l", "lower_ci", "ci_low", "lci", "lo_ci", "ci_lower_95", "or_lci95"),
    "ci_upper": ("ci_upper", "u95", "or_95u", "upper_ci", "ci_high", "uci", "up_ci", "ci_upper_95", "or_uci95"),
    "z": ("z", "zscore", "z_score", "z-score", "z_stat", "zstat", "t_stat", "tstat"),
    "eaf": (
        "eaf", "effect_allele_frequency", "effect_allele_freq", "freq_effect_allele", "freq_tested_allele*",
        "freq_effect", "effectallelefreq", "coded_allele_frequency", "freq",
    ),
    "pval": ("pval", "p_value", "p", "p-value", "pvalue", "p.value", "p_val", "pval_nominal", "p_dgc"),
    "minus_log10_p": (
        "log10p", "neg_log_10_p_value", "neglog10_pval", "mlog10p", "mlogp", "minus_log10_pval", "neg_log10_p",
        "neg_log10_pval", "log10_p", "nlog10p", "-log10p", "-log10(p)", "lp",
    ),
    "samplesize": (
        "samplesize", "n", "obs_ct", "sample_size", "n_total", "n_eff", "neff", "totalsamplesize", "total_n",
        "nrsamples", "n_complete_samples",
    ),
    "ncase": ("ncase", "n_case", "n_cases", "num_cases", "ncases", "n_cas", "ncas", "nca", "n.cases"),
    "ncontrol": (
        "ncontrol", "n_control", "n_controls", "num_controls", "ncontrols", "n_ctrl", "ncon", "nco", "n.controls",
    ),
    "variant": ("chr:position", "chr:pos", "chr_pos", "chrpos"),
    "chr": ("chr", "chromosome", "chrom", "#chrom", "#chr", "hm_chrom", "chr_name", "snpchr"),
    "pos": (
        "pos", "base_pair_location", "bp", "position", "hm_pos", "chr_position", "bpos", "pos_hg19", "bp_hg19",
        "pos_b37", "snppos",
    ),
    "Phenotype": ("phenotype", "trait", "phenotype_col", "exposure", "outcome"),
    "id": ("id_col", "id.exposure", "id.outcome"),
}  # fmt: skip
"""Our field: names that mean it whatever the tool. No allele is here, and no frequency of a numbered one."""
