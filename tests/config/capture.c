/* capture.c - see capture.h. */
#include "tests/config/capture.h"

#include "io/bug.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    int saved, source; /* the real stderr; where to read what was written, -1: nowhere */
    pthread_t reader;  /* of the pseudo-terminal, whose buffer is small */
    int is_terminal;
    char *text;
    size_t n;
} now = {-1, -1, 0, 0, NULL, 0};

static void redirect(int to)
{
    BUG_IF(now.saved >= 0 || to < 0, "a capture inside a capture, or no file");
    now.saved = dup(STDERR_FILENO);
    BUG_IF(now.saved < 0 || dup2(to, STDERR_FILENO) < 0, "cannot redirect stderr");
    close(to);
}

static void *drain(void *unused)
{
    (void)unused;
    char chunk[4096];
    ssize_t n;
    FILE *out = open_memstream(&now.text, &now.n);
    while ((n = read(now.source, chunk, sizeof chunk)) > 0)
        fwrite(chunk, 1, (size_t)n, out);
    fclose(out);
    return NULL;
}

void capture_file(void)
{
    char path[] = "/tmp/unroll-capture-XXXXXX";
    int fd = mkstemp(path);
    BUG_IF(fd < 0, "cannot make %s", path);
    unlink(path);
    now.source = dup(fd);
    redirect(fd);
}

void capture_terminal(int columns)
{
    int leader, follower;
    struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
    struct termios raw;
    BUG_IF(openpty(&leader, &follower, NULL, NULL, &size) != 0, "no pseudo-terminal");
    tcgetattr(follower, &raw);
    cfmakeraw(&raw); /* so that a newline is read back as it was written */
    tcsetattr(follower, TCSANOW, &raw);
    now.source = leader;
    now.is_terminal = 1;
    redirect(follower);
    BUG_IF(pthread_create(&now.reader, NULL, drain, NULL) != 0, "no thread");
}

void capture_path(const char *path)
{
    redirect(open(path, O_WRONLY));
}

char *capture_end(void)
{
    dup2(now.saved, STDERR_FILENO); /* closes the follower: the reader sees the end */
    close(now.saved);
    now.saved = -1;
    if (now.is_terminal)
        pthread_join(now.reader, NULL);
    else if (now.source >= 0 && lseek(now.source, 0, SEEK_SET) == 0)
        drain(NULL);
    if (now.source >= 0)
        close(now.source);
    now.source = -1;
    now.is_terminal = 0;
    char *text = now.text;
    now.text = NULL;
    return text;
}

char *folder_make(void)
{
    char *folder = strdup("/tmp/unroll-test-XXXXXX");
    BUG_IF(!folder || !mkdtemp(folder), "no folder in /tmp");
    return folder;
}

static char *path_of(const char *folder, const char *name)
{
    char *path = NULL;
    BUG_IF(asprintf(&path, "%s/%s", folder, name) < 0, "out of memory");
    return path;
}

void folder_remove(char *folder)
{
    DIR *d = opendir(folder);
    for (struct dirent *entry; d && (entry = readdir(d)) != NULL;) {
        char *path = path_of(folder, entry->d_name);
        unlink(path);
        free(path);
    }
    if (d)
        closedir(d);
    rmdir(folder);
    free(folder);
}

char *folder_read(const char *folder, const char *name)
{
    char *path = path_of(folder, name), *text = NULL;
    size_t room = 0;
    FILE *in = fopen(path, "r");
    free(path);
    if (!in)
        return NULL;
    if (getdelim(&text, &room, '\0', in) < 0) {
        free(text);
        text = strdup("");
    }
    fclose(in);
    return text;
}

void folder_write(const char *folder, const char *name, const char *text)
{
    char *path = path_of(folder, name);
    FILE *out = fopen(path, "w");
    BUG_IF(!out, "cannot write %s", path);
    fputs(text, out);
    fclose(out);
    free(path);
}

int folder_count(const char *folder)
{
    int count = 0;
    DIR *d = opendir(folder);
    BUG_IF(!d, "no folder %s", folder);
    while (readdir(d))
        count++;
    closedir(d);
    return count - 2; /* . and .. */
}
