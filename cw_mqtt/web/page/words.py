"""What the pages say, in each language; `{name}` is filled in."""

WORDS = {
    "home": {"en": "Home", "fr": "Maison"},
    "history": {"en": "History", "fr": "Historique"},
    "system": {"en": "System", "fr": "Système"},
    "account": {"en": "Account", "fr": "Compte"},
    "about_page": {"en": "About", "fr": "À propos"},
    "skip": {"en": "Skip to content", "fr": "Aller au contenu"},
    "other_language": {"en": "Français", "fr": "English"},
    "demo": {
        "en": "This is the demo: its sensor does not exist.",
        "fr": "Ceci est la démonstration : son capteur n'existe pas.",
    },
    # now
    "right_now": {"en": "Right now", "fr": "En ce moment"},
    "measured_ago": {"en": "measured {ago} ago", "fr": "mesuré il y a {ago}"},
    "last_value_ago": {"en": "last value {ago} ago", "fr": "dernière valeur il y a {ago}"},
    "no_value_yet": {"en": "no value yet", "fr": "pas encore de valeur"},
    "per_hour": {"en": "{cost}/h", "fr": "{cost}/h"},
    "rate_until": {"en": "{rate} until {time}", "fr": "{rate} jusqu'à {time}"},
    "of_subscribed": {"en": "{percent} of your {kva} kVA", "fr": "{percent} de vos {kva} kVA"},
    "last_hour": {"en": "Last hour", "fr": "Dernière heure"},
    "always_on_w": {"en": "always on {w} W", "fr": "toujours allumé {w} W"},
    "you_produce": {"en": "you produce", "fr": "vous produisez"},
    "of_which": {"en": "Of which", "fr": "Dont"},
    "pages": {"en": "Pages", "fr": "Pages"},
    "colon": {"en": ": ", "fr": " : "},
    "kwh": {"en": "{value} kWh", "fr": "{value} kWh"},
    "watts": {"en": "{value} W", "fr": "{value} W"},
    "unit": {"en": "Unit", "fr": "Unité"},
    "lost": {
        "en": "No answer from the bridge, trying again…",
        "fr": "Pas de réponse de la passerelle, nouvel essai…",
    },
    "back": {"en": "Back again.", "fr": "De retour."},
    "back_home": {"en": "Back to the first page", "fr": "Retour à la première page"},
    "no_script": {
        "en": "JavaScript is off: the page reloads every 10 seconds.",
        "fr": "JavaScript est désactivé : la page se recharge toutes les 10 secondes.",
    },
    "log_out_of": {"en": "Log out {name}", "fr": "Déconnecter {name}"},
    "database_away": {
        "en": "The database does not answer; nothing is lost. Its figures come back with it.",
        "fr": "La base de données ne répond pas ; rien n'est perdu. Ses chiffres reviennent "
        "avec elle.",
    },
    "no_contract": {
        "en": "No contract: write providers in config.yaml to see euros.",
        "fr": "Pas de contrat : écrivez providers dans config.yaml pour voir les euros.",
    },
    "hour_sentence": {
        "en": "The last hour: between {low} and {high} W.",
        "fr": "La dernière heure : entre {low} et {high} W.",
    },
    "week_sentence": {
        "en": "Most is used on {day} at {hour} h.",
        "fr": "Le plus est consommé le {day} à {hour} h.",
    },
    # login
    "log_in": {"en": "Log in", "fr": "Se connecter"},
    "make_first": {"en": "Make the first user", "fr": "Créer le premier utilisateur"},
    "first_user": {
        "en": "There is no user yet. The program has printed a code for the first one, in its "
        "terminal or log.",
        "fr": "Il n'y a pas encore d'utilisateur. Le programme a affiché un code pour le "
        "premier, dans son terminal ou son journal.",
    },
    "code": {"en": "Code", "fr": "Code"},
    "login": {"en": "Login", "fr": "Identifiant"},
    "password": {"en": "Password", "fr": "Mot de passe"},
    # state
    "pill_good": {"en": "Everything works", "fr": "Tout fonctionne"},
    "pill_waiting": {"en": "Waiting for a sensor", "fr": "On attend un capteur"},
    "pill_silent": {"en": "{name}: silent", "fr": "{name} : muet"},
    "pill_thing": {"en": "1 thing to see", "fr": "1 chose à voir"},
    "pill_things": {"en": "{n} things to see", "fr": "{n} choses à voir"},
    "pill_no_key": {
        "en": "No sensor heard: {n} packets that no key opens. Compare the key",
        "fr": "Aucun capteur entendu : {n} paquets qu'aucune clé n'ouvre. Comparez la clé",
    },
    "why_silent": {
        "en": "Nothing from the sensor since {time}. The receiver works: empty battery, or too "
        "far away?",
        "fr": "Plus rien du capteur depuis {time}. Le récepteur fonctionne : pile vide ou "
        "capteur trop loin ?",
    },
    "why_receiver": {
        "en": "Receiver unplugged since {time}. Plug it in again; nothing else is to be done.",
        "fr": "Récepteur débranché depuis {time}. Rebranchez-le, c'est tout.",
    },
    # system
    "last_heard": {"en": "Last heard", "fr": "Entendu"},
    "ago": {"en": "{ago} ago", "fr": "il y a {ago}"},
    "reception": {"en": "Reception", "fr": "Réception"},
    "received": {"en": "{word} ({heard} of {sent})", "fr": "{word} ({heard} sur {sent})"},
    "reception_good": {"en": "good", "fr": "bonne"},
    "reception_fair": {"en": "fair", "fr": "moyenne"},
    "reception_poor": {"en": "poor", "fr": "mauvaise"},
    "battery": {"en": "Battery", "fr": "Pile"},
    "total": {"en": "Total", "fr": "Total"},
    "after_database": {"en": "waiting for the database", "fr": "attend la base de données"},
    "corrections": {"en": "Corrections", "fr": "Corrections"},
    "left_out": {"en": "Left out", "fr": "Laissé de côté"},
    "verdict_settling": {"en": "after its start", "fr": "après son démarrage"},
    "verdict_held": {"en": "waiting for the next", "fr": "en attente du suivant"},
    "verdict_unverified": {"en": "that may be false", "fr": "peut-être faux"},
    "verdict_duplicate": {"en": "heard twice", "fr": "entendus deux fois"},
    "verdict_replayed": {"en": "repeated later", "fr": "répétés plus tard"},
    "verdict_foreign": {"en": "of another sensor", "fr": "d'un autre capteur"},
    "verdict_undated": {"en": "without a time", "fr": "sans date"},
    "parts": {"en": "Parts", "fr": "Éléments"},
    "part_web": {"en": "Web page", "fr": "Page web"},
    "part_program": {"en": "Program", "fr": "Programme"},
    "part_broker": {"en": "MQTT broker", "fr": "Serveur MQTT"},
    "part_database": {"en": "Database", "fr": "Base de données"},
    "part_settings_file": {"en": "Settings file", "fr": "Fichier de réglages"},
    "part_receiver": {"en": "Receiver", "fr": "Récepteur"},
    "part_sensor": {"en": "Sensor", "fr": "Capteur"},
    "part_packets": {"en": "Packets of", "fr": "Paquets de"},
    "state_working": {"en": "works", "fr": "fonctionne"},
    "state_waiting": {"en": "not reachable", "fr": "ne répond pas"},
    "state_refused": {"en": "not applied", "fr": "non appliqué"},
    "state_stopped": {"en": "stopped", "fr": "arrêté"},
    "since": {"en": "since {time}", "fr": "depuis {time}"},
    "pairing": {"en": "Add a sensor", "fr": "Ajouter un capteur"},
    "unopened": {
        "en": "{n} packets were heard that no key opens.",
        "fr": "{n} paquets ont été entendus qu'aucune clé n'ouvre.",
    },
    "pairing_words": {
        "en": "Write its key into config.yaml; the program reads the file when it is saved. "
        "These are the lines:",
        "fr": "Écrivez sa clé dans config.yaml ; le programme relit le fichier dès qu'il est "
        "enregistré. Voici les lignes :",
    },
    "pairing_test": {
        "en": "What is heard, and whether a key opens it, tells",
        "fr": "Ce qui est entendu, et si une clé l'ouvre, se voit avec",
    },
    "figures": {"en": "Where things are", "fr": "Où sont les choses"},
    "database": {"en": "Database", "fr": "Base de données"},
    "unstored": {"en": "Readings still to be stored", "fr": "Valeurs encore à enregistrer"},
    "time_zone": {"en": "Time zone", "fr": "Fuseau horaire"},
    "memory": {"en": "Memory", "fr": "Mémoire"},
    "version": {"en": "Version", "fr": "Version"},
    "running_since": {"en": "Running since", "fr": "En marche depuis"},
    "for_programs": {"en": "All of it, for programs", "fr": "Tout, pour les programmes"},
    "log": {"en": "Log", "fr": "Journal du programme"},
    # account
    "role": {"en": "Role", "fr": "Rôle"},
    "role_read": {"en": "may read", "fr": "peut lire"},
    "role_write": {"en": "may read and change", "fr": "peut lire et modifier"},
    "current_password": {"en": "Password of today", "fr": "Mot de passe actuel"},
    "new_password": {"en": "New password", "fr": "Nouveau mot de passe"},
    "change_password": {"en": "Change the password", "fr": "Changer le mot de passe"},
    "password_changed": {
        "en": "The password is changed; every other browser is logged out.",
        "fr": "Le mot de passe est changé ; les autres navigateurs sont déconnectés.",
    },
    "sessions": {"en": "Browsers logged in", "fr": "Navigateurs connectés"},
    "end_session": {"en": "Log out", "fr": "Déconnecter"},
    "end_all": {"en": "Log out everywhere", "fr": "Déconnecter partout"},
    "sessions_ended": {"en": "Logged out.", "fr": "Déconnecté."},
    "tokens": {"en": "Tokens", "fr": "Jetons"},
    "tokens_words": {
        "en": "A token lets a program in without a password.",
        "fr": "Un jeton laisse entrer un programme sans mot de passe.",
    },
    "name": {"en": "Name", "fr": "Nom"},
    "make_token": {"en": "Make a token", "fr": "Créer un jeton"},
    "remove": {"en": "Remove", "fr": "Supprimer"},
    "token_made": {"en": "{name} may come in.", "fr": "{name} peut entrer."},
    "token_removed": {
        "en": "{name} can no longer come in.",
        "fr": "{name} ne peut plus entrer.",
    },
    "token_once": {
        "en": "Copy it now: it is stored nowhere, and not shown again.",
        "fr": "Copiez-le maintenant : il n'est enregistré nulle part et ne sera plus affiché.",
    },
    # about
    "about_va": {"en": "What the clamp measures", "fr": "Ce que mesure la pince"},
    "about_va_words": {
        "en": "Apparent power, in VA: current times voltage. The meter counts real power, in W, "
        "which is less where motors or power supplies run.",
        "fr": "La puissance apparente, en VA : courant fois tension. Le compteur compte la "
        "puissance réelle, en W, plus faible avec des moteurs ou des alimentations.",
    },
    "about_gaps": {"en": "Gaps", "fr": "Les trous"},
    "about_gaps_words": {
        "en": "What was not measured is hatched and never guessed; a sum with gaps is at least "
        "so much.",
        "fr": "Ce qui n'a pas été mesuré est hachuré et jamais inventé ; une somme avec des trous "
        "est un minimum.",
    },
    "about_compare": {"en": "Comparisons", "fr": "Les comparaisons"},
    "about_compare_words": {
        "en": "Up to the same moment, by measured hours; about where less than 99% was measured, "
        "and none below 80%.",
        "fr": "Jusqu'au même moment, par heure mesurée ; environ quand moins de 99 % est mesuré, "
        "et rien en dessous de 80 %.",
    },
    "about_cost": {"en": "Cost", "fr": "Le coût"},
    "about_cost_words": {
        "en": "At the prices that were valid then, with the standing charge by days. The old "
        "API's euros leave that charge out and use the prices of today.",
        "fr": "Aux prix valables à ce moment, avec l'abonnement par jour. Les euros de l'ancienne "
        "API ne comptent pas l'abonnement et prennent les prix d'aujourd'hui.",
    },
    "about_always_on": {"en": "Always on", "fr": "Toujours allumé"},
    "about_always_on_words": {
        "en": "The lowest quarter of an hour of each of the last seven whole days; of these the "
        "middle one.",
        "fr": "Le quart d'heure le plus bas de chacun des sept derniers jours entiers ; leur "
        "médiane.",
    },
    "about_forecast": {"en": "End of the month", "fr": "Fin du mois"},
    "about_forecast_words": {
        "en": "So far, and the rest at the pace of the last seven whole days.",
        "fr": "À ce jour, puis le reste au rythme des sept derniers jours entiers.",
    },
    # first run
    "welcome": {
        "en": "Welcome, only the first measure is missing",
        "fr": "Bienvenue, il ne manque que la première mesure",
    },
    "goes_on": {
        "en": "This page goes on by itself.",
        "fr": "Cette page avance toute seule.",
    },
    "step_receiver": {"en": "The receiver is plugged in", "fr": "Le récepteur est branché"},
    "step_heard": {"en": "A sensor is heard", "fr": "Un capteur est entendu"},
    "step_key": {"en": "The key opens its packets", "fr": "La clé ouvre ses paquets"},
    "step_measure": {"en": "First measure", "fr": "Première mesure"},
    "step_hint_0": {
        "en": "Plug it into USB, and compare port in config.yaml.",
        "fr": "Branchez-le en USB et comparez port dans config.yaml.",
    },
    "step_hint_1": {
        "en": "It sends every 8 seconds; is its battery in, and is it near?",
        "fr": "Il émet toutes les 8 secondes ; sa pile est-elle en place, est-il assez près ?",
    },
    "step_hint_2": {
        "en": "Packets come that no key opens: compare the sensor's key in config.yaml.",
        "fr": "Des paquets arrivent qu'aucune clé n'ouvre : comparez la clé du capteur dans "
        "config.yaml.",
    },
    "step_hint_3": {
        "en": "The first value comes after about 20 seconds.",
        "fr": "La première valeur arrive après 20 secondes environ.",
    },
    # ages
    "seconds": {"en": "{n} s", "fr": "{n} s"},
    "minutes": {"en": "{n} min", "fr": "{n} min"},
    "hours": {"en": "{n} h", "fr": "{n} h"},
    "days": {"en": "{n} days", "fr": "{n} jours"},
    # consumption
    "consumption": {"en": "Consumption", "fr": "Consommation"},
    "same_moment": {"en": "compared at the same moment", "fr": "comparée au même moment"},
    "today": {"en": "Today", "fr": "Aujourd'hui"},
    "this_week": {"en": "This week", "fr": "Cette semaine"},
    "this_month": {"en": "This month", "fr": "Ce mois-ci"},
    "this_year": {"en": "This year", "fr": "Cette année"},
    "yesterday": {"en": "yesterday", "fr": "hier"},
    "last_week": {"en": "last week", "fr": "semaine dernière"},
    "measured_share": {"en": "{percent} measured", "fr": "{percent} mesurés"},
    "not_compared": {
        "en": "{period}: {percent} measured, not compared",
        "fr": "{period} : {percent} mesurés, pas comparé",
    },
    "at_least": {"en": "at least {value}", "fr": "au moins {value}"},
    "at_least_short": {"en": "at least", "fr": "au moins"},
    # history
    "day": {"en": "Day", "fr": "Jour"},
    "week": {"en": "Week", "fr": "Semaine"},
    "month": {"en": "Month", "fr": "Mois"},
    "year": {"en": "Year", "fr": "Année"},
    "years": {"en": "All", "fr": "Tout"},
    "previous": {"en": "Before", "fr": "Précédent"},
    "next": {"en": "After", "fr": "Suivant"},
    "of_it_standing": {"en": "incl. {cost} standing charge", "fr": "dont abonnement {cost}"},
    "until_time": {"en": "until {time}", "fr": "jusqu'à {time}"},
    "week_of": {"en": "{start} to {end}", "fr": "du {start} au {end}"},
    "all_years": {"en": "All years", "fr": "Toutes les années"},
    "last_day": {"en": "yesterday", "fr": "hier"},
    "last_month": {"en": "last month", "fr": "mois dernier"},
    "last_year": {"en": "last year", "fr": "année dernière"},
    "before_day": {"en": "the day before", "fr": "la veille"},
    "before_week": {"en": "the week before", "fr": "la semaine précédente"},
    "before_month": {"en": "the month before", "fr": "le mois précédent"},
    "before_year": {"en": "the year before", "fr": "l'année précédente"},
    "a_year_before": {"en": "a year before", "fr": "un an avant"},
    "not_measured": {"en": "not measured", "fr": "pas de mesure"},
    "table": {"en": "Table", "fr": "Tableau"},
    "csv": {"en": "CSV", "fr": "CSV"},
    "why": {"en": "Why?", "fr": "Pourquoi ?"},
    "from_until": {
        "en": "From {start} to {end}: {said}",
        "fr": "De {start} à {end} : {said}",
    },
    "from": {"en": "From", "fr": "De"},
    "to": {"en": "to", "fr": "à"},
    "show": {"en": "Show", "fr": "Afficher"},
    "compare_with": {"en": "Compare with", "fr": "Comparer avec"},
    "before": {"en": "the one before", "fr": "la période précédente"},
    "year_before": {"en": "a year before", "fr": "l'année précédente"},
    "none": {"en": "nothing", "fr": "rien"},
    "period": {"en": "Period", "fr": "Période"},
    "energy": {"en": "Energy", "fr": "Énergie"},
    "cost": {"en": "Cost", "fr": "Coût"},
    "mean_power": {"en": "Mean power", "fr": "Puissance moyenne"},
    "lowest": {"en": "Lowest", "fr": "Minimum"},
    "highest": {"en": "Highest", "fr": "Maximum"},
    "measured": {"en": "Measured", "fr": "Mesuré"},
    "standing_charge": {"en": "Standing charge", "fr": "Abonnement"},
    "rate_day": {"en": "Day rate", "fr": "Heures pleines"},
    "rate_night": {"en": "Night rate", "fr": "Heures creuses"},
    # facts
    "typical_week": {"en": "A typical week", "fr": "La semaine type"},
    "typical_week_words": {
        "en": "Mean power, last 4 weeks",
        "fr": "Puissance moyenne, 4 dernières semaines",
    },
    "always_on": {"en": "Always on", "fr": "Toujours allumé"},
    "always_on_words": {
        "en": "What runs even when everybody sleeps.",
        "fr": "Ce qui tourne même quand tout dort.",
    },
    "over_a_year": {
        "en": "Over a year: {kwh} kWh — {percent} of what you use.",
        "fr": "Sur un an : {kwh} kWh — {percent} de votre consommation.",
    },
    "over_a_year_cost": {
        "en": "Over a year: {kwh} kWh, {cost} — {percent} of what you use.",
        "fr": "Sur un an : {kwh} kWh, {cost} — {percent} de votre consommation.",
    },
    "peak_of_month": {"en": "Peak of the month", "fr": "Pointe du mois"},
    "va_of": {"en": "VA of {kva} kVA", "fr": "VA sur {kva} kVA"},
    "peak_words": {
        "en": "{day} at {time}. Over a quarter of an hour: {quarter} VA at most.",
        "fr": "{day} à {time}. Sur un quart d'heure : {quarter} VA au plus.",
    },
    "peak_left": {"en": "{va} VA left.", "fr": "Il reste {va} VA."},
    "peak_over": {"en": "{va} VA too much.", "fr": "{va} VA de trop."},
    "about": {"en": "about", "fr": "environ"},
    "end_of": {"en": "End of {month}", "fr": "Fin {month}"},
    "end_of_words": {
        "en": "{amount} so far, then at the pace of the last 7 days.",
        "fr": "{amount} à ce jour, puis au rythme des 7 derniers jours.",
    },
    "month_before": {"en": "{month}: {amount}.", "fr": "{month} : {amount}."},
    "honest": {
        "en": "Measured {percent} of the year. The clamp measures apparent power (VA): "
        "your meter may count less.",
        "fr": "Mesuré {percent} de l'année. La pince mesure la puissance apparente (VA) : "
        "le compteur peut compter moins.",
    },
}

WEEKDAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
}
SHORT_WEEKDAYS = {
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "fr": ("lun", "mar", "mer", "jeu", "ven", "sam", "dim"),
}
MONTHS = {
    "en": (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
    "fr": (
        *("janvier", "février", "mars", "avril", "mai", "juin"),
        *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
    ),
}
SHORT_MONTHS = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "fr": (
        *("janv.", "févr.", "mars", "avr.", "mai", "juin"),
        *("juil.", "août", "sept.", "oct.", "nov.", "déc."),
    ),
}
