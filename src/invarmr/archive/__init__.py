"""Result folders: what lies in them, who may change them, and how a change is whole or not at all."""
