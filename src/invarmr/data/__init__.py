"""What a study is: immutable, validated containers; no files, no torch."""
