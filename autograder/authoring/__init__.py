"""What course authors use: consistency checks, new assignments, known submissions."""
