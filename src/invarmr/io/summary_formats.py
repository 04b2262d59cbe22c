"""Layouts of GWAS summary statistics as data: how each is recognised, what its columns are, which allele is counted.

Reading, `invarmr inspect` and the manual go by `FORMATS`; nothing else knows a tool's column names. A layout is told by
its header alone, in any case, never by the name of the file. Every layout says where its effect allele is documented:
a header of which that is not known is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from invarmr.io.summary_names import EFFECT_NAMES, GROUPS, OTHER_NAMES, Names, SummaryFormat

__all__ = ["FORMATS"]

_ALT: Mapping[str, Names] = {"effect_allele": ("alt",), "other_allele": ("ref",)}
_A1: Mapping[str, Names] = {"effect_allele": ("a1",), "other_allele": ("a2",)}
_STATED: Mapping[str, Names] = {"effect_allele": EFFECT_NAMES, "other_allele": (*OTHER_NAMES, "omitted")}

FORMATS: tuple[SummaryFormat, ...] = (
    SummaryFormat(
        name="OpenGWAS VCF",
        header="#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT ieu-a-7",
        requires=(("vcf_effect",),),
        columns={
            **_ALT,
            "SNP": ("id",),
            "beta": ("vcf_effect",),
            "eaf": ("af",),
            "minus_log10_p": ("lp",),
            "samplesize": ("ss",),
            "ncase": ("nc",),
            "z": ("ez",),
            "id": ("vcf_sample",),
        },
        effect_allele="ALT, to which ES refers; AF is its frequency",
        source="Lyon et al. (2021), Genome Biology 22:32; GWAS-VCF specification, FORMAT ES: effect size estimate "
        "relative to the alternative allele",
    ),
    SummaryFormat(
        name="FinnGen",
        header="#chrom pos ref alt rsids nearest_genes pval mlogp beta sebeta af_alt af_alt_cases af_alt_controls",
        requires=(("ref",), ("alt",), ("rsids",), ("sebeta",)),
        columns={**_ALT, "SNP": ("rsids",), "eaf": ("af_alt", "af")},
        effect_allele="alt",
        source="FinnGen documentation, summary association statistics: beta is the effect size of the alternative "
        "allele, af_alt its frequency",
    ),
    SummaryFormat(
        name="Pan-UKB",
        header="chr pos ref alt af_cases_EUR af_controls_EUR beta_EUR se_EUR neglog10_pval_EUR low_confidence_EUR",
        requires=(("ref",), ("alt",), tuple(f"beta_{group}" for group in GROUPS)),
        columns={
            **_ALT,
            "beta": ("beta_{group}",),
            "se": ("se_{group}",),
            "minus_log10_p": ("neglog10_pval_{group}",),
            "ln_p": ("pval_{group}",),
            "eaf": ("af_{group}", "af_controls_{group}"),
        },
        effect_allele="alt",
        source="Pan-UKB documentation, per-phenotype files: alt, used as effect allele for GWAS; neglog10_pval is "
        "-log10 p, pval of earlier releases ln p",
    ),
    SummaryFormat(
        name="Neale lab, UK Biobank",
        header="variant minor_allele minor_AF low_confidence_variant n_complete_samples AC ytx beta se tstat pval",
        requires=(("variant",), ("minor_allele",), ("minor_af",), ("beta",)),
        columns={"variant": ("variant",), "minor_allele": ("minor_allele",), "minor_frequency": ("minor_af",)},
        effect_allele="ALT of variant = chr:pos:ref:alt, whether or not it is minor_allele",
        source="Neale lab, UK Biobank GWAS round 2, README: the alternate allele of variant is the effect allele",
    ),
    SummaryFormat(
        name="COVID-19 HGI",
        header="#CHR POS REF ALT SNP all_inv_var_meta_N all_inv_var_meta_beta all_inv_var_meta_sebeta "
        "all_inv_var_meta_p all_meta_AF rsid",
        requires=(("ref",), ("alt",), ("all_inv_var_meta_beta",)),
        columns={
            **_ALT,
            "SNP": ("rsid", "snp"),
            "beta": ("all_inv_var_meta_beta",),
            "se": ("all_inv_var_meta_sebeta",),
            "pval": ("all_inv_var_meta_p",),
            "eaf": ("all_meta_af",),
            "samplesize": ("all_inv_var_meta_n", "all_meta_sample_n"),
            "ncase": ("all_inv_var_meta_cases",),
            "ncontrol": ("all_inv_var_meta_controls",),
        },
        effect_allele="ALT",
        source="COVID-19 Host Genetics Initiative, README of results: all_inv_var_meta_beta is the effect size of ALT",
    ),
    SummaryFormat(
        name="PLINK 2 .glm",
        header="#CHROM POS ID REF ALT PROVISIONAL_REF? A1 OMITTED A1_FREQ TEST OBS_CT BETA SE T_STAT P ERRCODE",
        requires=(("id",), ("ref",), ("a1",)),
        columns={
            "effect_allele": ("a1",),
            "other_allele": ("omitted", "ax"),
            "ref": ("ref",),
            "alt": ("alt",),
            "SNP": ("id",),
            "eaf": ("a1_freq",),
            "test": ("test",),
        },
        effect_allele="A1, counted in the regression; the other is OMITTED, else that of REF and ALT which A1 is not",
        source="PLINK 2.0 documentation, file formats, .glm.linear: A1, counted allele in regression",
    ),
    SummaryFormat(
        name="regenie",
        header="CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ INFO N TEST BETA SE CHISQ LOG10P EXTRA",
        requires=(("id",), ("genpos",), ("allele0",), ("allele1",), ("log10p", "a1freq", "chisq")),
        columns={
            "effect_allele": ("allele1",),
            "other_allele": ("allele0",),
            "SNP": ("id",),
            "pos": ("genpos",),
            "eaf": ("a1freq",),
            "test": ("test",),
        },
        effect_allele="ALLELE1; A1FREQ is its frequency",
        source="regenie documentation, step 2 output: BETA, estimated effect sizes (for allele 1 on the original "
        "scale)",
    ),
    SummaryFormat(
        name="BOLT-LMM",
        header="SNP CHR BP GENPOS ALLELE1 ALLELE0 A1FREQ F_MISS CHISQ_LINREG P_LINREG BETA SE CHISQ_BOLT_LMM_INF "
        "P_BOLT_LMM_INF CHISQ_BOLT_LMM P_BOLT_LMM",
        requires=(("snp",), ("allele0",), ("allele1",), ("a1freq",), ("p_bolt_lmm", "p_bolt_lmm_inf", "p_linreg")),
        columns={
            "effect_allele": ("allele1",),
            "other_allele": ("allele0",),
            "pos": ("bp",),
            "eaf": ("a1freq",),
            "pval": ("p_bolt_lmm", "p_bolt_lmm_inf", "p_linreg"),
        },
        effect_allele="ALLELE1; A1FREQ is its frequency (GENPOS is a genetic position, BP the base pair)",
        source="BOLT-LMM manual, output: ALLELE1, first allele in the bim file, used as the effect allele",
    ),
    SummaryFormat(
        name="SAIGE",
        header="CHR POS MarkerID Allele1 Allele2 AC_Allele2 AF_Allele2 MissingRate BETA SE Tstat var p.value N",
        requires=(("allele1",), ("allele2",), ("af_allele2", "ac_allele2")),
        columns={
            "effect_allele": ("allele2",),
            "other_allele": ("allele1",),
            "SNP": ("rsid", "markerid", "snpid"),
            "eaf": ("af_allele2",),
            "pval": ("p.value",),
            "z": (),
        },
        effect_allele="Allele2; AF_Allele2 is its frequency",
        source="SAIGE documentation, single-variant output: BETA, effect size of Allele2",
    ),
    SummaryFormat(
        name="METAL",
        header="MarkerName Allele1 Allele2 Freq1 FreqSE Effect StdErr P-value Direction",
        requires=(
            ("allele1",),
            ("allele2",),
            ("effect", "zscore"),
            ("stderr", "p-value"),
            ("markername", "direction", "totalsamplesize"),
        ),
        columns={
            "effect_allele": ("allele1",),
            "other_allele": ("allele2",),
            "eaf": ("freq1",),
            "samplesize": ("totalsamplesize", "n", "weight"),
        },
        effect_allele="Allele1 (lower case is read); Freq1 is its frequency, Weight beside a Zscore the sample size",
        source="METAL documentation: Effect and Zscore are for Allele1",
    ),
    SummaryFormat(
        name="GIANT 2010-2015",
        header="MarkerName Allele1 Allele2 Freq.Allele1.HapMapCEU b SE p N",
        requires=(("markername", "snp"), ("allele1",), ("allele2",), ("freq.allele1.*",)),
        columns={"effect_allele": ("allele1",), "other_allele": ("allele2",), "eaf": ("freq.allele1.*",)},
        effect_allele="Allele1",
        source="GIANT consortium, README of the 2014 and 2015 releases: b is the effect of Allele1",
    ),
    SummaryFormat(
        name="GIANT 2018",
        header="CHR POS SNP Tested_Allele Other_Allele Freq_Tested_Allele_in_HRS BETA SE P N",
        requires=(("tested_allele",), ("other_allele",)),
        columns={"effect_allele": ("tested_allele",), "other_allele": ("other_allele",)},
        effect_allele="Tested_Allele",
        source="Yengo et al. (2018), Human Molecular Genetics 27:3641, README: Tested_Allele, allele of the effect",
    ),
    SummaryFormat(
        name="GLGC 2013",
        header="SNP_hg18 SNP_hg19 rsid A1 A2 beta se N P-value Freq.A1.1000G.EUR",
        requires=(("a1",), ("a2",), ("freq.a1.*",)),
        columns={**_A1, "SNP": ("rsid",), "variant": ("snp_hg19",), "eaf": ("freq.a1.*",)},
        effect_allele="A1",
        source="Global Lipids Genetics Consortium (2013), Nature Genetics 45:1274, README: beta is for A1",
    ),
    SummaryFormat(
        name="GCTA fastGWA",
        header="CHR SNP POS A1 A2 N AF1 BETA SE P",
        requires=(("snp",), ("a1",), ("a2",), ("af1",), ("beta",)),
        columns={**_A1, "eaf": ("af1",)},
        effect_allele="A1; AF1 is its frequency",
        source="GCTA documentation, fastGWA: A1 is the effect allele",
    ),
    SummaryFormat(
        name="GCTA .ma and .mlma",
        header="SNP A1 A2 freq b se p N",
        requires=(("snp",), ("a1",), ("a2",), ("freq",), ("b",), ("se",), ("p",)),
        columns={**_A1, "eaf": ("freq",)},
        effect_allele="A1; freq is its frequency",
        source="GCTA documentation, COJO: the effect allele, the other allele, frequency of the effect allele",
    ),
    SummaryFormat(
        name="GCTA .cojo",
        header="Chr SNP bp refA freq b se p n freq_geno bJ bJ_se pJ LD_r",
        requires=(("snp",), ("refa",), ("freq",), ("b",)),
        columns={"effect_allele": ("refa",), "eaf": ("freq",)},
        effect_allele="refA, GCTA's name for the effect allele; the other is not stated",
        source="GCTA documentation, COJO output: refA, the effect allele",
    ),
    SummaryFormat(
        name="PLINK 1 .assoc",
        header="CHR SNP BP A1 F_A F_U A2 CHISQ P OR SE L95 U95",
        requires=(("snp",), ("a1",), ("a2",), ("f_a",), ("f_u",)),
        columns={**_A1, "eaf": ("f_u",)},
        effect_allele="A1; F_U is its frequency in controls",
        source="PLINK 1.9 documentation, .assoc: OR is odds(allele 1 | case) / odds(allele 1 | control)",
    ),
    SummaryFormat(
        name="PLINK 1 .assoc.linear, .logistic",
        header="CHR SNP BP A1 TEST NMISS BETA SE L95 U95 STAT P",
        requires=(("snp",), ("a1",), ("test",), ("nmiss",)),
        columns={**_A1, "z": ("stat",), "samplesize": ("nmiss",), "test": ("test",)},
        effect_allele="A1; the other is not stated, so that frequencies or the other file must tell it",
        source="PLINK 1.9 documentation, .assoc.linear: A1, allele 1 (usually minor), whose copies the ADD test counts",
    ),
    SummaryFormat(
        name="PLINK 1 .qassoc",
        header="CHR SNP BP NMISS BETA SE R2 T P",
        requires=(("snp",), ("nmiss",), ("beta",), ("r2",), ("t",)),
        effect_allele="A1 of the .bim, which the file does not state",
        source="PLINK 1.9 documentation, .qassoc",
        refused="a .qassoc file does not state any allele. Run plink --linear (or plink2 --glm), which does, or add "
        "the columns A1 and A2 of the .bim as effect_allele and other_allele",
    ),
    SummaryFormat(
        name="PGC daner",
        header="CHR SNP BP A1 A2 FRQ_A_53386 FRQ_U_77258 INFO OR SE P ngt Direction Nca Nco",
        requires=(("snp",), ("a1",), ("a2",), ("frq_u_*",), ("or", "beta")),
        columns={**_A1, "eaf": ("frq_u_*",)},
        effect_allele="A1; FRQ_U is its frequency in controls",
        source="Psychiatric Genomics Consortium, RICOPILI, daner format: A1, reference allele for OR",
    ),
    SummaryFormat(
        name="PGC sumstats",
        header="CHROM ID POS A1 A2 FCAS FCON IMPINFO BETA SE PVAL NCAS NCON NEFF",
        requires=(("id",), ("a1",), ("a2",), ("fcas",), ("fcon",)),
        columns={**_A1, "SNP": ("id",), "eaf": ("fcon",)},
        effect_allele="A1; FCON is its frequency in controls",
        source="Psychiatric Genomics Consortium, PGCsumstatsVCF header: A1, reference allele for OR or beta",
    ),
    SummaryFormat(
        name="LDSC and MTAG",
        header="SNP A1 A2 N Z FRQ",
        requires=(("snp", "snpid"), ("a1",), ("a2",), ("z",), ("n",)),
        columns={
            **_A1,
            "beta": ("mtag_beta",),
            "se": ("mtag_se",),
            "pval": ("mtag_pval", "p", "pval"),
            "eaf": ("frq", "freq", "meta_freq"),
        },
        effect_allele="A1, to which Z refers",
        source="LD score regression wiki, summary statistics file format: A1, allele to which the signed statistic "
        "refers; MTAG tutorial likewise",
    ),
    SummaryFormat(
        name="SNPTEST",
        header="alternate_ids rsid chromosome position alleleA alleleB frequentist_add_pvalue frequentist_add_beta_1 "
        "frequentist_add_se_1",
        requires=(("allelea",), ("alleleb",), ("frequentist_add_beta_1*",)),
        columns={
            "effect_allele": ("alleleb",),
            "other_allele": ("allelea",),
            "beta": ("frequentist_add_beta_1*",),
            "se": ("frequentist_add_se_1*",),
            "pval": ("frequentist_add_pvalue*",),
            "samplesize": ("all_total",),
        },
        effect_allele="alleleB",
        source="SNPTEST documentation, association tests: genotypes AA, AB, BB are coded 0, 1, 2",
    ),
    SummaryFormat(
        name="GWAS Catalog, harmonised",
        header="hm_variant_id hm_rsid hm_chrom hm_pos hm_other_allele hm_effect_allele hm_beta hm_odds_ratio "
        "hm_ci_lower hm_ci_upper hm_effect_allele_frequency p_value standard_error",
        requires=(("hm_effect_allele",), ("hm_beta", "hm_odds_ratio")),
        columns={
            "SNP": ("hm_rsid", "hm_variant_id"),
            "effect_allele": ("hm_effect_allele",),
            "other_allele": ("hm_other_allele",),
            "beta": ("hm_beta",),
            "odds_ratio": ("hm_odds_ratio",),
            "ci_lower": ("hm_ci_lower",),
            "ci_upper": ("hm_ci_upper",),
            "eaf": ("hm_effect_allele_frequency",),
            "chr": ("hm_chrom",),
            "pos": ("hm_pos",),
        },
        effect_allele="hm_effect_allele, to which the hm_ columns refer",
        source="GWAS Catalog documentation, harmonised summary statistics",
    ),
    SummaryFormat(
        name="GWAS-SSF",
        header="chromosome base_pair_location effect_allele other_allele beta standard_error effect_allele_frequency "
        "p_value rsid n",
        requires=(("chromosome",), ("base_pair_location",), ("effect_allele",)),
        columns={**_STATED, "SNP": ("rsid", "rs_id", "variant_id")},
        effect_allele="effect_allele",
        source="Hayhurst et al. (2022), bioRxiv 2022.07.15.500230",
    ),
    SummaryFormat(
        name="effect_allele and other_allele",
        header="SNP effect_allele other_allele beta se eaf pval samplesize chr pos",
        requires=(EFFECT_NAMES,),
        columns=_STATED,
        effect_allele="the column that says so: effect_allele, EA, assessed_allele, coded_allele",
        source="the header itself; TwoSampleMR, MR-Base, genal, gwaslab, MAGIC, CARDIoGRAM, eQTLGen, deCODE",
    ),
    SummaryFormat(
        name="REF and ALT",
        header="chrom pos ref alt rsid pval beta sebeta af",
        requires=(("ref",), ("alt",), ("beta", "or", "odds_ratio", "effect", "b", "z", "zscore")),
        columns={**_ALT, "eaf": ("af_alt", "alt_af", "af", "alt_freq", "aaf", "frq")},
        effect_allele="ALT",
        source="PheWeb documentation, input columns: beta, effect size of the alternate allele; BioBank Japan, README: "
        "ALT is the effect allele",
    ),
    SummaryFormat(
        name="one allele alone",
        header="SNP A1 BETA SE P",
        requires=(("a1", "allele1"), ("beta", "b", "or", "odds_ratio", "effect")),
        columns={"effect_allele": ("a1", "allele1")},
        effect_allele="the only allele that the table names; the other must follow from frequencies or the other file",
        source="the header itself; PLINK's A1",
    ),
)  # fmt: skip
"""Every known layout; the first one whose columns are all there is taken."""
