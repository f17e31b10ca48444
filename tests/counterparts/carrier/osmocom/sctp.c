// SCTP over TCP on loopback, for a kernel without SCTP: loaded before libc (LD_PRELOAD) under OsmoMSC. TCP keeps no
// borders between messages, so each one goes with its length in front (2 octets, big-endian); handset.py does the same.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int socket(int domain, int type, int protocol) {
    return REAL(socket)(domain, type, protocol == IPPROTO_SCTP ? 0 : protocol);
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t length) {
    return level == IPPROTO_SCTP ? 0 : REAL(setsockopt)(fd, level, option, value, length);
}

int getsockopt(int fd, int level, int option, void *value, socklen_t *length) {
    if (level != IPPROTO_SCTP) return REAL(getsockopt)(fd, level, option, value, length);
    memset(value, 0, *length);
    return 0;
}

// One address is enough.
static socklen_t size(const struct sockaddr *address) {
    return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

int sctp_bindx(int fd, struct sockaddr *addresses, int count, int flags) {
    return bind(fd, addresses, size(addresses));
}

int sctp_connectx(int fd, struct sockaddr *addresses, int count, void *id) {
    return connect(fd, addresses, size(addresses));
}

int sctp_send(int fd, const void *message, size_t length, const void *info, int flags) {
    unsigned char head[] = {length >> 8, length};
    struct iovec parts[] = {{head, sizeof head}, {(void *)message, length}};
    struct msghdr both = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t sent = sendmsg(fd, &both, flags | MSG_NOSIGNAL);
    return sent < 0 ? -1 : (int)length;
}

// A whole message, or EAGAIN.
int sctp_recvmsg(int fd, void *message, size_t room, struct sockaddr *from, socklen_t *from_length, void *info, int *flags) {
    unsigned char head[2];
    int there = 0;
    ssize_t seen = recv(fd, head, sizeof head, MSG_PEEK);
    if (seen <= 0) return seen;
    size_t length = head[0] << 8 | head[1];
    ioctl(fd, FIONREAD, &there);
    if (seen < (ssize_t)sizeof head || (size_t)there < sizeof head + length) return errno = EAGAIN, -1;
    recv(fd, head, sizeof head, 0);
    // struct sctp_sndrcvinfo, of 32 octets: stream 0, protocol 0.
    if (info) memset(info, 0, 32);
    if (flags) *flags = MSG_EOR;
    return recv(fd, message, length < room ? length : room, 0);
}
