"""Words at training time: the teacher, its student, and vectors for items nobody has touched."""
