"""The pages, one a module, each with `render(page)`."""
