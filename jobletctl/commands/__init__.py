"""One module per noun, its verbs inside; loaded when the noun is used."""
