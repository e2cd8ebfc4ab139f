"""The ground floor of the processes: how they tell each other something, and what several of them need.

Open `shared.py` first: it is what the supervisor makes before the fork. Whoever is here imports no role. What only one
role needs belongs to that role.
"""
