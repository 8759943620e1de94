"""The page of operators, raters and auditors."""
