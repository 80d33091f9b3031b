"""The mathematics: networks that train together as one, with torch and Lightning alone."""
