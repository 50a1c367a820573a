"""hpsearch for programs that act by themselves: an MCP server, whose tools are the functions of `hpsearch`."""
