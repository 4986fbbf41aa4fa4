"""What bench/compare/field.py runs."""
