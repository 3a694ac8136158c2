/* What a power cut would leave: notes what has reached the disk, at each fsync.
 *
 * Preloaded into the command. After every fsync or fdatasync that succeeded:
 * - of a database file or its log: its content is copied to $CHAOS_SYNCED/<name>;
 * - of any other file: "F <inode>" is added to $CHAOS_SYNCED/.notes;
 * - of a folder: "D <path>" for each name in it.
 * The harness then throws away what is not there: the worst that a disk with an honest
 * cache may do, nothing of what was not synced survives.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONG (2 * PATH_MAX + 64)

static void note(const char *folder, char kind, const char *text) {
    char path[LONG], line[LONG + 8];
    snprintf(path, sizeof path, "%s/.notes", folder);
    int out = open(path, O_CREAT | O_APPEND | O_WRONLY, 0666);
    if (out < 0) return;
    int length = snprintf(line, sizeof line, "%c %s\n", kind, text);
    if (write(out, line, length) < 0) { /* nothing to be done about it */ }
    close(out);
}

static void copy(int from, const char *folder, const char *name) {
    static __thread char block[65536];
    char part[LONG], whole[LONG];
    snprintf(part, sizeof part, "%s/.part-%d-%d-%s", folder, getpid(), gettid(), name);
    snprintf(whole, sizeof whole, "%s/%s", folder, name);
    int out = open(part, O_CREAT | O_TRUNC | O_WRONLY, 0666);
    if (out < 0) return;
    /* on SQLite's own descriptor: closing a second one of the file would drop its locks */
    off_t at = 0;
    ssize_t got;
    while ((got = pread(from, block, sizeof block, at)) > 0) {
        if (write(out, block, got) != got) break;
        at += got;
    }
    close(out);
    rename(part, whole);
}

static void reached(int handle) {
    const char *folder = getenv("CHAOS_SYNCED");
    char link[64], path[PATH_MAX], text[LONG];
    struct stat about;
    if (folder == NULL || fstat(handle, &about) != 0) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    const char *name = strrchr(path, '/');
    name = name == NULL ? path : name + 1;
    if (strstr(name, ".sqlite3") != NULL) {
        copy(handle, folder, name);
    } else if (S_ISDIR(about.st_mode)) {
        DIR *entries = opendir(path);
        struct dirent *entry;
        while (entries != NULL && (entry = readdir(entries)) != NULL) {
            if (snprintf(text, sizeof text, "%s/%s", path, entry->d_name) < (int)sizeof text)
                note(folder, 'D', text);
        }
        if (entries != NULL) closedir(entries);
    } else {
        snprintf(text, sizeof text, "%lu", (unsigned long)about.st_ino);
        note(folder, 'F', text);
    }
}

static int synced(const char *function, int handle) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, function);
    int result = real(handle);
    if (result == 0) reached(handle);
    return result;
}

int fsync(int handle) { return synced("fsync", handle); }
int fdatasync(int handle) { return synced("fdatasync", handle); }
