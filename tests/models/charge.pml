/* A charge over two providers, one after the other (state-machines.md, section 2; docs/adr/0008).
 *
 * An attempt is stored with its key before it is sent. A request may be lost, may arrive however
 * late, and its answer may be lost, so that its outcome is unknown. A provider gives the same key
 * the same answer, and may fail for a moment without an outcome. Webhooks come late, twice or
 * never, and may tell of such a moment long after the money was taken. The orchestrator may be
 * killed between any two steps and goes on from what it stored.
 *
 * Money must never be taken twice, and what is told of the payment in the end must be true.
 *
 * The way: an unknown outcome is asked for; "not found" is no end, for the request may still be on
 * its way, so the attempt is voided under its key; only then is the other provider tried. A
 * webhook is a hint to ask.
 *
 * Known-bad: -DFAILOVER_ON_UNKNOWN, -DNEW_KEY, -DABSENCE_BELIEVED, -DWEBHOOK_BELIEVED.
 */
#ifndef KILLS
#define KILLS 1
#endif
#define PROVIDERS 2
#define RESENDS 1
#define KEYS 5                       /* 1, 2 ... are used; 0 is none */

mtype = { nothing, taken, declined, void };                    /* what a provider knows of a key */
mtype = { unsent, unknown, succeeded, failed };                /* where our payment stands */

chan wire[PROVIDERS] = [2] of { byte };                        /* requests, by key */
chan answers = [2] of { byte, mtype };
chan hooks = [2] of { byte, mtype };

mtype outcome[KEYS] = nothing;       /* the truth at the providers */
byte captures;                       /* how often money was taken */

byte kills = KILLS;
bool killed;

/* What the orchestrator stores: it survives its death. */
mtype state = unsent;
byte provider;
byte key = 1;
byte resent;

proctype Provider(byte me) {
    byte asked;
    do
    :: atomic {
        wire[me] ? asked ->
        if
        :: outcome[asked] == nothing ->
            if
            :: outcome[asked] = taken; captures++; assert(captures <= 1)
            :: outcome[asked] = declined
            :: true                  /* it fails for a moment: no outcome, try again */
            fi
        :: else                      /* the same key, the same answer */
        fi;
        if
        :: outcome[asked] != nothing && nfull(answers) -> answers ! asked, outcome[asked]
        :: true                      /* the answer is lost */
        fi;
        if
        :: nfull(hooks) && outcome[asked] != nothing -> hooks ! asked, outcome[asked]
        :: nfull(hooks) && outcome[asked] == nothing -> hooks ! asked, declined
        :: true
        fi;
        asked = 0
       }
    od
}

/* The attempt ended without money: the next provider, or the end. */
inline fail_over() {
    d_step {
        provider++;
        resent = 0;
        if
        :: provider == PROVIDERS -> state = failed
        :: else -> key++; state = unsent
        fi
    }
}

/* Stored first, sent afterwards; a death between the two leaves the outcome unknown. */
inline send() {
    state = unknown;
    if
    :: nfull(wire[provider]) -> wire[provider] ! key
    :: true                          /* the request is lost */
    fi
}

inline end_with(found) {
    if
    :: found == taken -> state = succeeded
    :: found == declined || found == void -> fail_over()
    :: else
    fi
}

/* Ask for the truth; "not found" is made an end by voiding the key. */
inline inquire() {
    found = outcome[key];
    if
    :: found == nothing ->
#ifdef ABSENCE_BELIEVED
        fail_over()
#else
        d_step {                     /* the provider refuses the key from now on, or has taken */
            if
            :: outcome[key] == nothing -> outcome[key] = void
            :: else
            fi;
            found = outcome[key]
        };
        end_with(found)
#endif
    :: else -> end_with(found)
    fi;
    found = nothing
}

inline on_unknown() {
    if
    :: answers ? told, found ->
        if :: told == key -> end_with(found) :: else fi;
        atomic { told = 0; found = nothing }
#ifdef FAILOVER_ON_UNKNOWN
    :: fail_over()                   /* time is over */
#else
    :: inquire()
#endif
    :: atomic { resent < RESENDS -> resent++ };
#ifdef NEW_KEY
        key++;
#endif
        send()
    fi
}

active proctype Orchestrator() {
    byte told;
    mtype found = nothing;
again:
    {
        do
        :: state == unsent -> send()
        :: state == unknown -> on_unknown()
        :: hooks ? told, found ->
#ifdef WEBHOOK_BELIEVED
            if
            :: told == key && found == declined && state != failed -> fail_over()
            :: else
            fi;
#else
            if
            :: told == key && state == unknown -> inquire()
            :: else
            fi;
#endif
            atomic { told = 0; found = nothing }
        od
    } unless {
        atomic { killed -> killed = false; told = 0; found = nothing }
    };
    goto again
}

active proctype Fate() {
    do
    :: atomic { kills > 0 && !killed -> kills--; killed = true }
    :: break
    od
}

active proctype Auditor() {
    timeout ->
    assert(state == succeeded || state == failed);
    assert((state == succeeded) == (captures == 1))
}

init {
    atomic { run Provider(0); run Provider(1) }
}
