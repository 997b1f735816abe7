"""From a study's network to files: quantise its latents, fit tables, write the profile that `narrows.Codec` loads."""
