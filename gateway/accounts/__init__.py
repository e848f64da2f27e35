"""Who may submit: cred's portal, realm and checkers, the credential store, and the throttle on failed logins."""
