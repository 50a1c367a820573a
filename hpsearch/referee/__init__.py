"""The referee: a champion, the challenges that it has stood, and the code of everyone as it was trained."""
