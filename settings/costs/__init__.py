"""What a deployment costs: lines with unit, price and date; at least, as expected, at most."""
