#include "CMosquittoShim.h"

#include <errno.h>
#include <signal.h>

struct mosquitto *cmq_new(const char *client_id, bool clean_start, void *user_data)
{
    struct sigaction before;
    bool saved = sigaction(SIGPIPE, NULL, &before) == 0;
    struct mosquitto *mosq = mosquitto_new(client_id, clean_start, user_data);
    int error = errno;
    if (saved) {
        sigaction(SIGPIPE, &before, NULL);
    }
    errno = error;
    return mosq;
}

void cmq_set_connect_properties(struct mosquitto *mosq, int keep_alive, const mosquitto_property *properties)
{
    (void)mosquitto_connect_bind_v5(mosq, "", 0, keep_alive, NULL, properties);
}

int cmq_connect_async(struct mosquitto *mosq, const char *address, int port, int keep_alive, const char *local,
                      int *error)
{
    errno = 0;
    int rc = mosquitto_connect_bind_async(mosq, address, port, keep_alive, local);
    *error = errno;
    return rc;
}
