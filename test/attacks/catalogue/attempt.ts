/** Owns the Python that attacks try many things with, one after another. */

/** Runs a snippet per line of a list and prints what each raised, or "done". */
export const TRY_EACH = `
def attempt(action, *arguments):
    try:
        return f"done: {action(*arguments)!r:.100}"
    except BaseException as error:
        return type(error).__name__
`;
