"""`endcap bench`: measurements that print their own baseline in the same run.

Machines are shared and noisy: the parts take turns, and what is compared is a ratio of medians.
"""
