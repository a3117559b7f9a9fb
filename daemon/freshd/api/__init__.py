"""The local socket: HTTP/1.1 and JSON on a Unix stream socket, described by openapi.json (design 8).

http        bytes → request, answer → bytes; pure
problem     RFC 9457 documents and their stable types; pure
routes      request → what is asked; pure
peer        who is asking, from the kernel
listen      binding, adopting and removing the socket
connection  one client: order, limits, the fast read
answers     everything that may wait
watch       server-sent events
audit       who was handed what: first, then counts
metrics     Prometheus text
server      puts them together: `Api`
"""
