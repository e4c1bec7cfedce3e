#include "trainer/signals.h"

#include <signal.h>
#include <string.h>

static volatile sig_atomic_t save_asked, stop_asked;

static void on_save(int number)
{
    (void)number;
    save_asked = 1;
}

static void on_stop(int number)
{
    if (stop_asked) {
        signal(number, SIG_DFL);
        raise(number); /* delivered when this handler returns */
    }
    stop_asked = 1;
}

static void install(int number, void (*handler)(int))
{
    struct sigaction a;
    memset(&a, 0, sizeof a);
    a.sa_handler = handler;
    sigemptyset(&a.sa_mask);
    a.sa_flags = SA_RESTART;
    sigaction(number, &a, NULL);
}

void signals_install(void)
{
    install(SIGUSR1, on_save);
    install(SIGUSR2, on_stop);
    install(SIGTERM, on_stop);
    install(SIGINT, on_stop);
    struct sigaction before;
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        install(SIGHUP, on_stop);
    install(SIGPIPE, SIG_IGN);
    install(SIGXFSZ, SIG_IGN);
}

uint32_t signals_take(void)
{
    uint32_t flags = 0;
    if (save_asked) {
        save_asked = 0;
        flags |= SIGNALS_SAVE;
    }
    if (stop_asked)
        flags |= SIGNALS_STOP;
    return flags;
}
