"""The networks of the five studies, each a function of its widths. README.md says which numbers are theirs."""
