"""The field's data sets, and predictions matched to them."""
