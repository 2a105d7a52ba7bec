/* The end of a wallet against signatures in flight and money on its way (docs/adr/0013).
 *
 * A rail with a key: the vault holds it, the mover has it sign a transfer of what came, the
 * manager ends the wallet's life. Requests and answers may be delayed however long and come twice;
 * the manager may be killed between any two steps. Money comes whenever it likes.
 *
 * No signature may be made once the destruction is stated. Money that had come when the
 * destruction began must have been moved when the key is destroyed; money that comes later must be
 * announced. And the wallet must come to its end.
 *
 * The way: the guard, then destroying, from which nothing leads back; then a balance that was asked
 * for after that, and nothing unknown; then the key, under the same lock as signing; then the
 * certificate. What is still there is moved first, and asked for again.
 *
 * Known-bad: -DCHECK_THEN_SIGN, -DBALANCE_FROM_BEFORE, -DNO_BALANCE, -DSTATED_BEFORE_DELETED,
 * -DWATCH_ENDS.
 */
#ifndef KILLS
#define KILLS 1
#endif
#define PAYMENTS 2

mtype = { watching, destroying, destroyed };                   /* the wallet, as the manager has it */
mtype = { away, early, late, moved };                          /* a payment: late came after the end began */

mtype state = watching;
mtype payment[PAYMENTS] = away;
bool known[PAYMENTS];                /* the manager has heard of it */
bool announced[PAYMENTS];

bool key = true;                     /* the vault's */
byte kills = KILLS;
bool killed;

chan balance_asked = [1] of { bit };
chan balance = [1] of { bool };      /* whether nothing was there */
chan destroy_asked = [1] of { bit };
chan deleted = [1] of { bit };
chan sign_asked = [1] of { byte };
chan signature = [1] of { byte };

#define THERE(n) (payment[n] == early || payment[n] == late)
#define EMPTY (!THERE(0) && !THERE(1))
#define OPEN(n) (known[n] && payment[n] == early)

active proctype Payer() {
    byte n = 0;
    do
    :: n < PAYMENTS ->
        atomic {
            if
            :: state == watching -> payment[n] = early
            :: else -> payment[n] = late
            fi;
            n++
        }
    :: break
    od
}

/* News of a payment may be late. */
active proctype News() {
    do
    :: atomic { payment[0] == early && !known[0] -> known[0] = true }
    :: atomic { payment[1] == early && !known[1] -> known[1] = true }
    od
}

/* Has a transfer signed of what came, and sends it when it has the signature. */
active proctype Mover() {
    byte n;
    do
    :: atomic { payment[0] != away && payment[0] != moved && empty(sign_asked) -> sign_asked ! 0 }
    :: atomic { payment[1] != away && payment[1] != moved && empty(sign_asked) -> sign_asked ! 1 }
    :: atomic { signature ? n -> payment[n] = moved; n = 0 }
    :: atomic { state == destroyed && !key -> break }
    od
}

inline sign(n) {
    assert(state != destroyed);
    if :: nfull(signature) -> signature ! n :: full(signature) fi
}

active proctype Signer() {
    byte n;
    do
#ifdef CHECK_THEN_SIGN
    :: sign_asked ? n ->
        if
        :: key -> sign(n)            /* it is in memory by now, whatever becomes of it */
        :: !key
        fi;
        n = 0
#else
    :: atomic {                      /* looked up and used under one lock */
        sign_asked ? n ->
        if :: key -> sign(n) :: !key fi;
        n = 0
       }
#endif
    od
}

active proctype Destroyer() {
    do
    :: atomic {
        destroy_asked ? _ ->
        if
        :: key -> assert(payment[0] != early && payment[1] != early); key = false
        :: !key                      /* it was asked for before */
        fi;
        if :: nfull(deleted) -> deleted ! 1 :: full(deleted) fi
       }
    od
}

/* Reads the chain; the answer travels. */
active proctype Observer() {
    bool nothing_there;
    do
    :: balance_asked ? _ ->
        nothing_there = EMPTY;
        if :: nfull(balance) -> balance ! nothing_there :: full(balance) fi;
        nothing_there = false
    od
}

inline ask(question) {
    if :: nfull(question) -> question ! 1 :: full(question) fi
}

/* What the manager stores besides the state: whether the balance was found empty. */
bool was_empty;

active proctype Manager() {
    bool found;
again:
    {
        do
#ifdef BALANCE_FROM_BEFORE
        :: state == watching && !was_empty -> ask(balance_asked)
        :: atomic { state == watching && was_empty && !OPEN(0) && !OPEN(1) -> state = destroying }
#else
        :: atomic { state == watching && !OPEN(0) && !OPEN(1) -> state = destroying }
#endif
        :: state == destroying && !was_empty && empty(balance) && empty(balance_asked) ->
            ask(balance_asked)       /* and again, as long as it takes */
        :: atomic {
            balance ? found ->
#ifndef BALANCE_FROM_BEFORE
            if :: state == destroying -> was_empty = was_empty || found :: else fi;
#else
            was_empty = was_empty || found;
#endif
            found = false
           }
#ifdef NO_BALANCE
        :: state == destroying && empty(destroy_asked) && empty(deleted) -> ask(destroy_asked)
#else
        :: state == destroying && was_empty && empty(destroy_asked) && empty(deleted) ->
            ask(destroy_asked)
#endif
#ifdef STATED_BEFORE_DELETED
        :: atomic { state == destroying && was_empty -> state = destroyed }
#else
        :: atomic { deleted ? _ -> state = destroyed }
#endif
        od
    } unless {
        atomic { killed -> killed = false; found = false }
    };
    goto again
}

/* The watch set: what comes to an address whose life is over is announced, for ever. */
active proctype Watcher() {
    do
#ifdef WATCH_ENDS
    :: break
#else
    :: atomic { payment[0] == late && state != watching && !announced[0] -> announced[0] = true }
    :: atomic { payment[1] == late && state != watching && !announced[1] -> announced[1] = true }
#endif
    od
}

active proctype Fate() {
    do
    :: atomic { kills > 0 && !killed -> kills--; killed = true }
    :: break
    od
}

active proctype Auditor() {
    timeout ->
    assert(state == destroyed && !key);
    assert(payment[0] != early && payment[1] != early);
    assert(payment[0] != late || announced[0]);
    assert(payment[1] != late || announced[1])
}
