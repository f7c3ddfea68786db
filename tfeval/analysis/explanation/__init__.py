"""Why a number differs: what others predicted or reported, against cells of a sweep."""
