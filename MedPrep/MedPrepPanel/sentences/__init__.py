"""What the panel says, in sentences that can be translated; a module for each section."""
