"""What the suites share: the programs that they start, certificates, and how they tell what they found."""
