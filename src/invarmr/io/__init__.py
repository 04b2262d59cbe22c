"""READ and write files: genotypes, tables, lists of instruments; nothing here knows a study."""
