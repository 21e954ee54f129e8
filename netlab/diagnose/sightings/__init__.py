"""What the evidence shows: which frames are the traced packet, and which sighting follows which."""
