"""Reading a shop: tables, readers, cleaning, splits, text, and a simulated shop. No torch here."""
