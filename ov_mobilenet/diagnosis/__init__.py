"""Find out which normalisation a network was trained with, from unlabelled images."""
