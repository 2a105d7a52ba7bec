/* The outbox, two relays, one consumer with an inbox (docs/adr/0002 and 0003).
 *
 * Facts 1..FACTS of one aggregate are staged in order. A relay holds the shard as long as its
 * database session lives. The session may end at any moment without the relay's knowledge: it is
 * then a zombie, which goes on sending what it had read. Relays and the consumer may be killed
 * between any two steps. Each effect must happen once and in order, and none may be missing when
 * nothing is left to do.
 *
 * Known-bad: -DNO_INBOX, -DDELETE_BEFORE_ACK, -DSKIP_LOCKED, -DHEAD_NOT_LOCKED.
 */
#ifndef FACTS
#define FACTS 3
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef LAPSES
#define LAPSES 1
#endif
#define NOBODY 2
#define CONSUMER 2
#define WAITING_MAX 20

byte kills = KILLS;                  /* deaths that may still happen */
byte lapses = LAPSES;                /* leases that may still be lost */
bool killed[3];

bool unsent[FACTS + 1];              /* the outbox */
byte owner = NOBODY;                 /* whose session holds the lock of the shard */
bool session[2];

byte topic[WAITING_MAX];             /* records behind the offset that is committed */
byte waiting;
byte position;                       /* how many of them the consumer has handled */
bool inbox[FACTS + 1];
byte effects;                        /* the last fact that had its effect */

#ifdef SKIP_LOCKED
byte holder[FACTS + 1] = NOBODY;     /* locks of rows, where relays skip what is locked */
#define MAY_READ(me) true
#define FREE(row, me) (unsent[row] && (holder[row] == NOBODY || holder[row] == me))
#else
#define MAY_READ(me) (owner == me)
#define FREE(row, me) unsent[row]
#endif

inline end_session(me) {
    session[me] = false;
    if :: owner == me -> owner = NOBODY :: else fi;
#ifdef SKIP_LOCKED
    row = 1;
    do
    :: row <= FACTS ->
        if :: holder[row] == me -> holder[row] = NOBODY :: else fi;
        row++
    :: else -> break
    od;
#endif
    row = 0
}

inline append(fact) {
    assert(waiting < WAITING_MAX);
    topic[waiting] = fact;
    waiting++
}

/* One run of rows: the first that is free, and what follows it; nothing when none is. */
inline read_run() {
    first = 1;
    do
    :: first <= FACTS && !FREE(first, me) -> first++
    :: else -> break
    od;
    last = first;
    do
    :: last <= FACTS && FREE(last, me) ->
#ifdef SKIP_LOCKED
        holder[last] = me;
        last++;
        break                        /* a batch of one row */
#else
        last++
#endif
    :: else -> break
    od;
    at = first
}

inline send_run() {
    do
    :: atomic { at < last -> append(at); at++ }
    :: atomic { at == last -> at = first; break }
    od
}

/* Deleting needs the session: without it the relay learns that it had become a zombie. */
inline delete_run() {
    d_step {
        if
        :: session[me] ->
            do
            :: at < last -> unsent[at] = false; at++
            :: else -> break
            od;
            at = first;
            lost = false
        :: else -> lost = true
        fi
    }
}

active proctype Writer() {
    byte fact = 1;
#ifdef HEAD_NOT_LOCKED
    unsent[2] = true;                /* the later version commits before the earlier one */
    unsent[1] = true;
    fact = 3;
#endif
    do
    :: fact <= FACTS -> d_step { unsent[fact] = true; fact++ }
    :: else -> break
    od
}

proctype Relay(byte me) {
    byte first, last, at, row;
    bool lost;
again:
    {
        session[me] = true;
#ifndef SKIP_LOCKED
        if
        :: atomic { session[me] && owner == NOBODY -> owner = me }
        :: !session[me] -> goto dropped
        fi;
#endif
        do
        :: d_step {
            session[me] && MAY_READ(me) && (FREE(1, me) || FREE(2, me) || FREE(3, me)) ->
            read_run()
           };
#ifdef DELETE_BEFORE_ACK
           delete_run();
           if :: lost -> break :: else fi;
           send_run();
#else
           send_run();
           delete_run();
           if :: lost -> break :: else fi;
#endif
           atomic { first = 0; last = 0; at = 0 }
        :: !session[me] -> break
        od;
dropped:
        atomic { end_session(me); first = 0; last = 0; at = 0; lost = false };
        goto again
    } unless {
        d_step {
            killed[me] -> killed[me] = false;
            end_session(me); first = 0; last = 0; at = 0; lost = false
        }
    };
    goto again
}

proctype Consumer() {
    byte fact, at;
again:
    {
        do
        :: d_step {                  /* one transaction: the mark and the effect */
            position < waiting ->
            fact = topic[position];
            if
#ifndef NO_INBOX
            :: inbox[fact]
#endif
            :: else ->
                inbox[fact] = true;
                assert(fact == effects + 1);
                effects = fact
            fi;
            position++;
            fact = 0
           }
        :: d_step {                  /* the offset is committed: what is behind it is forgotten */
            position > 0 ->
            at = position;
            do
            :: at < waiting -> topic[at - position] = topic[at]; at++
            :: else -> break
            od;
            at = waiting - position;
            do
            :: at < waiting -> topic[at] = 0; at++
            :: else -> break
            od;
            waiting = waiting - position;
            position = 0;
            at = 0
           }
        od
    } unless {
        d_step { killed[CONSUMER] -> killed[CONSUMER] = false; position = 0 }
    };
    goto again
}

/* Kills and ends sessions, as often as it may, or not at all. */
active proctype Fate() {
    byte row;
    do
    :: atomic { kills > 0 && !killed[0] -> kills--; killed[0] = true }
    :: atomic { kills > 0 && !killed[1] -> kills--; killed[1] = true }
    :: atomic { kills > 0 && !killed[CONSUMER] -> kills--; killed[CONSUMER] = true }
    :: d_step { lapses > 0 && session[0] -> lapses--; end_session(0) }
    :: d_step { lapses > 0 && session[1] -> lapses--; end_session(1) }
    :: break
    od
}

active proctype Auditor() {
    timeout -> assert(effects == FACTS)
}

init {
    atomic { run Relay(0); run Relay(1); run Consumer() }
}
