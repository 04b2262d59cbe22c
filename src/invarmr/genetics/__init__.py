"""What must know an allele: effect alleles, quality control, linkage, ancestry."""
